{{ config(materialized="table", access="private") }}
{%- set columns = {
    "id": "text",
    "contact_id": "hubspot_id",
    "visitor_id": "text",
    "occurred_at": "timestamp",
    "page_url": "text",
    "page_title": "name",
    "referrer": "text",
    "utm_source": "text",
    "utm_medium": "text",
    "utm_campaign": "text",
} -%}
{%- set checks = [
    ("occurred_at is null", "occurred_at", "missing_value"),
    (is_after_landing("occurred_at"), "occurred_at", "future_date"),
] -%}

with {{ checked_rows("hubspot", "web_visits", columns, checks) }}

select
    {{ record_columns() }},
    source_record_id as visit_id,
    contact_id_typed as contact_id,
    visitor_id,
    occurred_at_typed as visited_at,
    page_url,
    page_title_typed as page_title,
    referrer as referrer_url,
    {{ to_channel("utm_source", "utm_medium", "referrer") }} as channel,
    utm_campaign as campaign,
    {{ is_high_intent("page_url") }} as is_high_intent,
    {{ check_columns(columns) }}
from checked
