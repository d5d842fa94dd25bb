select
    opportunity_id,
    source_system,
    source_record_id,
    account_id,
    opportunity_name,
    stage_name,
    opportunity_type,
    amount_usd,
    currency_code,
    owner_id,
    is_closed,
    is_won,
    close_date,
    closed_at,
    created_at,
    {{ audit_columns() }}
from {{ ref("int_opportunities_unioned") }}
