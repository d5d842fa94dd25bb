{% snapshot snap_opportunities %}
{{ config(
    schema="analytics",
    unique_key="opportunity_id",
    strategy="check",
    check_cols=[
        "source_system", "source_record_id", "account_id", "opportunity_name", "stage_name", "opportunity_type", "amount_usd",
        "currency_code", "owner_id", "is_closed", "is_won", "close_date", "closed_at", "created_at",
    ],
    hard_deletes="invalidate",
    snapshot_meta_column_names={
        "dbt_scd_id": "opportunity_version_id", "dbt_valid_from": "valid_from", "dbt_valid_to": "valid_to",
    },
) }}

{#- dbt adds the third audit column, dbt_updated_at, and the version's own. -#}
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
    job_id,
    dbt_run_id
from {{ ref("int_opportunities_unioned") }}
{% endsnapshot %}
