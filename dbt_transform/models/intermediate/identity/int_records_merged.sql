{%- set records = [
    ("account", "stg_hubspot__companies", "company_id"),
    ("contact", "stg_hubspot__contacts", "contact_id"),
    ("opportunity", "stg_hubspot__deals", "deal_id"),
    ("account", "stg_salesforce__accounts", "salesforce_account_id"),
    ("contact", "stg_salesforce__contacts", "contact_id"),
    ("lead", "stg_salesforce__leads", "lead_id"),
] -%}
{%- set lists = {
    "stg_hubspot__companies": "merged_company_ids",
    "stg_hubspot__contacts": "merged_contact_ids",
    "stg_hubspot__deals": "merged_deal_ids",
} -%}
{%- set logs = [
    ("contact", "stg_hubspot__contact_merges", "merged_contact_id", "surviving_contact_id"),
    ("opportunity", "stg_hubspot__deal_merges", "merged_deal_id", "surviving_deal_id"),
] -%}

with recursive live_records as (
    {%- for object_type, model, id in records %}
    select
        '{{ object_type }}:' || source_system || ':' || {{ id }} as record_key,
        {{ id }} as record_id
    from {{ ref(model) }}
    where not is_deleted
    {{ "union all" if not loop.last }}
    {%- endfor %}
),

listed as (
    {%- for object_type, model, id in records if model in lists %}
    select
        '{{ object_type }}' as object_type,
        source_system,
        {{ id }} as surviving_record_id,
        {{ lists[model] }} as merged_record_ids
    from {{ ref(model) }}
    where {{ lists[model] }} is not null
    {{ "union all" if not loop.last }}
    {%- endfor %}
),

digits as (
    {%- for digit in range(10) %}
    select {{ digit }} as digit
    {{ "union all" if not loop.last }}
    {%- endfor %}
),

-- A thousand places in a list: HubSpot allows 250 merges a record.
places as (
    select hundreds.digit * 100 + tens.digit * 10 + ones.digit + 1 as place
    from digits as hundreds
    cross join digits as tens
    cross join digits as ones
),

-- Whoever says that a record was merged: the survivor's list, HubSpot's log of merges, Salesforce's merged record.
claims as (
    select
        listed.object_type,
        listed.source_system,
        trim(split_part(listed.merged_record_ids, ';', places.place)) as merged_record_id,
        listed.surviving_record_id,
        cast(null as timestamp) as merged_at
    from listed
    inner join places
        on length(listed.merged_record_ids) - length(replace(listed.merged_record_ids, ';', '')) + 1 >= places.place
    {%- for object_type, model, merged_id, surviving_id in logs %}
    union all
    select
        '{{ object_type }}' as object_type,
        source_system,
        {{ merged_id }} as merged_record_id,
        {{ surviving_id }} as surviving_record_id,
        merged_at
    from {{ ref(model) }}
    where not is_deleted
    {%- endfor %}
    {%- for object_type, model, id in records if model not in lists %}
    union all
    select
        '{{ object_type }}' as object_type,
        source_system,
        {{ id }} as merged_record_id,
        master_record_id as surviving_record_id,
        cast(null as timestamp) as merged_at
    from {{ ref(model) }}
    where master_record_id is not null
    {%- endfor %}
),

keyed_claims as (
    select
        claims.*,
        object_type || ':' || source_system || ':' || merged_record_id as merged_key,
        object_type || ':' || source_system || ':' || surviving_record_id as surviving_key
    from claims
    where merged_record_id <> '' and merged_record_id <> surviving_record_id
),

-- One next record for each, so that following them can only end or go round: a live one first, then the latest merge.
steps as (
    select keyed_claims.*
    from keyed_claims
    left join live_records on keyed_claims.surviving_key = live_records.record_key
    {{ top_n_by(
        ["keyed_claims.merged_key"],
        [
            "case when live_records.record_key is null then 1 else 0 end",
            "keyed_claims.merged_at desc nulls last",
            "keyed_claims.surviving_key",
        ],
    ) }}
),

-- Every record that a merged one's chain reaches. What was passed before is not entered again: a circle ends the walk.
walks as (
    select
        merged_key,
        surviving_key as reached_key,
        1 as distance,
        ';' || merged_key || ';' || surviving_key || ';' as passed_keys
    from steps
    union all
    select
        walks.merged_key,
        steps.surviving_key as reached_key,
        walks.distance + 1 as distance,
        walks.passed_keys || steps.surviving_key || ';' as passed_keys
    from walks
    inner join steps on walks.reached_key = steps.merged_key
    where not contains(walks.passed_keys, ';' || steps.surviving_key || ';')
),

-- The records of a circle, each with the lowest key of it.
circle_records as (
    select
        walks.merged_key,
        least(walks.merged_key, min(walks.reached_key)) as circle_key
    from walks
    inner join (
        select round_walks.merged_key
        from walks as round_walks
        inner join steps
            on round_walks.reached_key = steps.merged_key and round_walks.merged_key = steps.surviving_key
    ) as returns on walks.merged_key = returns.merged_key
    group by walks.merged_key
),

-- A circle is opened at one record, which survives the others: a live one, the lowest id.
circle_survivors as (
    select circle_records.merged_key as record_key
    from circle_records
    left join live_records on circle_records.merged_key = live_records.record_key
    {{ top_n_by(
        ["circle_records.circle_key"],
        ["case when live_records.record_key is null then 1 else 0 end", "circle_records.merged_key"],
    ) }}
),

walk_ends as (
    select
        walks.merged_key,
        walks.distance as last_distance
    from walks
    inner join circle_survivors on walks.reached_key = circle_survivors.record_key
),

-- The last live record of the chain; without one, the record stands for itself and has no row here.
survivors as (
    select
        walks.merged_key,
        live_records.record_id as surviving_record_id
    from walks
    inner join live_records on walks.reached_key = live_records.record_key
    left join walk_ends on walks.merged_key = walk_ends.merged_key
    left join circle_survivors on walks.merged_key = circle_survivors.record_key
    where circle_survivors.record_key is null and walks.distance <= coalesce(walk_ends.last_distance, walks.distance)
    {{ top_n_by(["walks.merged_key"], ["walks.distance desc"]) }}
)

select
    steps.object_type,
    steps.source_system,
    steps.merged_record_id,
    survivors.surviving_record_id,
    {{ audit_columns() }}
from survivors
inner join steps on survivors.merged_key = steps.merged_key
