{% snapshot snap_opportunities %}
{{ config(
    schema="analytics",
    unique_key="opportunity_id",
    strategy="check",
    check_cols=[
        "source_system", "source_record_id", "account_id", "opportunity_name", "stage_name", "opportunity_type", "amount_usd",
        "currency_code", "owner_id", "is_closed", "is_won", "close_date", "closed_at", "created_at", "is_live",
    ],
    hard_deletes="ignore",
    snapshot_meta_column_names={
        "dbt_scd_id": "opportunity_version_id", "dbt_valid_from": "valid_from", "dbt_valid_to": "valid_to",
    },
) }}

{#-
    dbt adds the third audit column, dbt_updated_at, and the version's own. An opportunity that isn't in these rows keeps its
    version: its row is in quarantine, which says nothing of the opportunity. One that ended has one more, of which only
    the key is known.
-#}
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
    true as is_live,
    job_id,
    dbt_run_id
from {{ ref("int_opportunities_unioned") }}
union all
select
    opportunity_id,
    source_system,
    source_record_id,
    cast(null as varchar) as account_id,
    cast(null as varchar) as opportunity_name,
    cast(null as varchar) as stage_name,
    cast(null as varchar) as opportunity_type,
    cast(null as decimal(18, 2)) as amount_usd,
    cast(null as varchar) as currency_code,
    cast(null as varchar) as owner_id,
    cast(null as boolean) as is_closed,
    cast(null as boolean) as is_won,
    cast(null as date) as close_date,
    cast(null as timestamp) as closed_at,
    cast(null as timestamp) as created_at,
    false as is_live,
    job_id,
    dbt_run_id
from {{ ref("int_opportunities_dropped") }}
{% endsnapshot %}
