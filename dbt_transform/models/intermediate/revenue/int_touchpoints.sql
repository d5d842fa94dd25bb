{{ config(
    materialized="incremental",
    incremental_strategy="replace_keys",
    unique_key="touchpoint_id",
    snowflake_warehouse=env_var("GTM_DBT_WAREHOUSE_LARGE", "") or none,
    cluster_by=["cast(touched_at as date)"] if env_var("GTM_DBT_CLUSTER_EVENTS", "false") == "true" else none,
    meta={"compares": ["touch_type", "source_record_id", "load_id", "loaded_at"]},
) }}
{#- A contact's touches of one load: compared by count and hash, before any of them is looked at by itself. -#}
{%- set group_keys = ["touch_type", "contact_id", "load_id", "loaded_at"] -%}
{#- All that may differ while the record's load stays the same: what settings and other records decide. -#}
{%- set compared = [
    "source_record_id", "account_id", "person_id", "channel", "campaign", "page_url", "is_high_intent", "touched_at",
] -%}

{%- if not is_incremental() %}
select
    resolved.*,
    {{ audit_columns() }}
from {{ ref("int_touches_resolved") }} as resolved
{%- else %}
with expected_groups as (
    select
        {{ row_hash(group_keys) }} as group_hash,
        count(*) as touches,
        {{ set_hash(compared) }} as touches_hash
    from {{ ref("int_touches_resolved") }}
    group by {{ row_hash(group_keys) }}
),

stored_groups as (
    select
        {{ row_hash(group_keys) }} as group_hash,
        count(*) as touches,
        {{ set_hash(compared) }} as touches_hash
    from {{ this }}
    group by {{ row_hash(group_keys) }}
),

changed_groups as (
    select coalesce(expected_groups.group_hash, stored_groups.group_hash) as group_hash
    from expected_groups
    full outer join stored_groups on expected_groups.group_hash = stored_groups.group_hash
    where
        expected_groups.touches is null or stored_groups.touches is null
        or expected_groups.touches <> stored_groups.touches
        or expected_groups.touches_hash <> stored_groups.touches_hash
),

expected as (
    select
        resolved.*,
        {{ row_hash(group_keys + compared, "resolved") }} as touch_hash
    from {{ ref("int_touches_resolved") }} as resolved
    inner join changed_groups on {{ row_hash(group_keys, "resolved") }} = changed_groups.group_hash
),

stored as (
    select
        touchpoints.touchpoint_id,
        {{ row_hash(group_keys + compared, "touchpoints") }} as touch_hash
    from {{ this }} as touchpoints
    inner join changed_groups on {{ row_hash(group_keys, "touchpoints") }} = changed_groups.group_hash
)

select
    expected.* exclude (touch_hash),
    {{ audit_columns() }}
from expected
left join stored on expected.touchpoint_id = stored.touchpoint_id
where stored.touchpoint_id is null or expected.touch_hash <> stored.touch_hash
union all
-- Tombstones: the touch is gone, or no longer anybody's.
select
    stored.touchpoint_id,
    {%- for column in ["touch_type", "account_id", "person_id", "contact_id", "channel", "campaign", "page_url"] %}
    cast(null as varchar) as {{ column }},
    {%- endfor %}
    cast(null as boolean) as is_high_intent,
    cast(null as timestamp) as touched_at,
    cast(null as varchar) as source_system,
    cast(null as varchar) as source_record_id,
    cast(null as varchar) as load_id,
    cast(null as timestamp) as loaded_at,
    cast(null as varchar) as job_id,
    cast(null as varchar) as dbt_run_id,
    cast(null as timestamp) as dbt_updated_at
from stored
left join expected on stored.touchpoint_id = expected.touchpoint_id
where expected.touchpoint_id is null
{%- endif %}
