{{ config(materialized="view") }}

select
    touchpoint_id,
    touch_type,
    account_id,
    contact_id,
    channel,
    campaign,
    page_url,
    is_high_intent,
    touched_at,
    source_system,
    source_record_id,
    load_id,
    loaded_at,
    job_id,
    dbt_run_id,
    dbt_updated_at
from {{ ref("int_touchpoints") }}
