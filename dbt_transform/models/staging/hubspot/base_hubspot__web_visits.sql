{{ config(materialized="table") }}
{%- set columns = [
    "id", "contact_id", "visitor_id", "occurred_at", "page_url", "page_title", "referrer", "utm_source", "utm_medium",
    "utm_campaign",
] -%}
{%- set types = {
    "occurred_at": "timestamp",
} -%}

with cleaned as (
    select
        {{ load_columns() }},
        {{ json_row(columns + ["extra"]) }} as raw_row,
        {{ clean_columns(columns) }}
    from {{ source("raw", "hubspot_web_visits") }}
),

typed as (
    select
        cleaned.*,
        {{ typed_columns(types) }}
    from cleaned
)

select
    {{ load_columns() }},
    source_record_id as visit_id,
    contact_id,
    visitor_id,
    occurred_at_typed as visited_at,
    page_url,
    {{ decode_entities("page_title") }} as page_title,
    referrer as referrer_url,
    {{ to_channel("utm_source", "utm_medium", "referrer") }} as channel,
    utm_campaign as campaign,
    {{ is_high_intent("page_url") }} as is_high_intent,
    {{ failed_checks("id", types, [
        ("occurred_at is null", "occurred_at", "missing_value"),
    ]) }},
    case when failed_checks <> '' then raw_row end as failed_row,
    {{ audit_columns() }}
from typed
