select
    touchpoint_id,
    account_id,
    contact_id,
    channel,
    campaign,
    page_url,
    is_high_intent,
    touched_at,
    {{ audit_columns() }}
from {{ ref("int_touchpoints") }}
