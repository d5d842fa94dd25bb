{{ config(materialized="view") }}

select
    opportunity_version_id,
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
    valid_from,
    coalesce(valid_to, cast('9999-12-31' as timestamp)) as valid_to,
    valid_to is null as is_current,
    job_id,
    dbt_run_id,
    dbt_updated_at
from {{ ref("snap_opportunities") }}
-- Versions of builds that knew no is_live are of living opportunities.
where coalesce(is_live, true)
