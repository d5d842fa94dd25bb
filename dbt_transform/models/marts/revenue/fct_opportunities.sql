select
    opportunities.opportunity_id,
    opportunities.source_system,
    opportunities.source_record_id,
    opportunities.account_id,
    opportunities.opportunity_name,
    opportunities.stage_name,
    opportunities.opportunity_type,
    opportunities.amount_usd,
    opportunities.currency_code,
    opportunities.owner_id,
    opportunities.is_closed,
    opportunities.is_won,
    opportunities.close_date,
    opportunities.closed_at,
    opportunities.created_at,
    owners.owner_name,
    {{ audit_columns() }}
from {{ ref("int_opportunities_unioned") }} as opportunities
left join {{ ref("int_owners_named") }} as owners
    on opportunities.source_system = owners.source_system and opportunities.owner_id = owners.owner_id
