{{ config(
    materialized="incremental",
    incremental_strategy="replace_keys",
    unique_key="touchpoint_id",
    meta={"compares": ["touch_type", "source_record_id", "load_id", "loaded_at"]},
) }}
{%- set group_keys = ["touch_type", "contact_id", "load_id", "loaded_at"] -%}
{#- All that may differ while the record's load stays the same: what settings and other records decide. -#}
{%- set compared = [
    "source_record_id", "account_id", "person_id", "channel", "campaign", "is_high_intent", "touched_at",
] -%}
{#- A visit's contact is HubSpot's, so its group has one account and person; no need to hash them millions of times. -#}
{%- set hashed_in_groups = [
    "case when touch_type <> 'web_visit' then account_id end", "case when touch_type <> 'web_visit' then person_id end",
    "source_record_id", "channel", "campaign", "is_high_intent", "touched_at",
] -%}

{%- if not is_incremental() %}
select
    resolved.*,
    {{ audit_columns() }}
from {{ ref("int_touches_resolved") }} as resolved
{%- else %}
with expected_groups as (
    select
        {{ group_keys | join(", ") }},
        count(*) as touches,
        min(account_id) as account_id,
        min(person_id) as person_id,
        {{ set_hash(hashed_in_groups) }} as touches_hash
    from {{ ref("int_touches_resolved") }}
    group by {{ group_keys | join(", ") }}
),

stored_groups as (
    select
        {{ group_keys | join(", ") }},
        count(*) as touches,
        min(account_id) as account_id,
        min(person_id) as person_id,
        {{ set_hash(hashed_in_groups) }} as touches_hash
    from {{ this }}
    group by {{ group_keys | join(", ") }}
),

changed_groups as (
    select
        coalesce(expected_groups.touch_type, stored_groups.touch_type) as touch_type,
        coalesce(expected_groups.contact_id, stored_groups.contact_id) as contact_id,
        coalesce(expected_groups.load_id, stored_groups.load_id) as load_id,
        coalesce(expected_groups.loaded_at, stored_groups.loaded_at) as loaded_at
    from expected_groups
    full outer join stored_groups
        on
            expected_groups.touch_type = stored_groups.touch_type
            and expected_groups.contact_id = stored_groups.contact_id
            and expected_groups.load_id = stored_groups.load_id
            and expected_groups.loaded_at = stored_groups.loaded_at
    where
        expected_groups.touches is null or stored_groups.touches is null
        or expected_groups.touches <> stored_groups.touches
        or expected_groups.account_id <> stored_groups.account_id
        or expected_groups.person_id <> stored_groups.person_id
        or expected_groups.touches_hash <> stored_groups.touches_hash
),

expected as (
    select
        resolved.*,
        {{ row_hash(group_keys + compared, "resolved") }} as touch_hash
    from {{ ref("int_touches_resolved") }} as resolved
    inner join changed_groups
        on
            resolved.touch_type = changed_groups.touch_type
            and resolved.contact_id = changed_groups.contact_id
            and resolved.load_id = changed_groups.load_id
            and resolved.loaded_at = changed_groups.loaded_at
),

stored as (
    select
        touchpoints.touchpoint_id,
        {{ row_hash(group_keys + compared, "touchpoints") }} as touch_hash
    from {{ this }} as touchpoints
    inner join changed_groups
        on
            touchpoints.touch_type = changed_groups.touch_type
            and touchpoints.contact_id = changed_groups.contact_id
            and touchpoints.load_id = changed_groups.load_id
            and touchpoints.loaded_at = changed_groups.loaded_at
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
