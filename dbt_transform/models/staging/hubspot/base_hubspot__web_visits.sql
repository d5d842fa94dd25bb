{%- set columns = {
    "id": "text",
    "contact_id": "hubspot_id",
    "visitor_id": "text",
    "occurred_at": "timestamp",
    "page_url": "url",
    "page_title": "name",
    "referrer": "url",
    "utm_source": "word",
    "utm_medium": "word",
    "utm_campaign": "text",
} -%}
{%- set checks = [
    ("occurred_at is null", "occurred_at", "missing_value"),
    (is_after_landing("occurred_at"), "occurred_at", "future_date"),
] -%}
{%- set visit_columns -%}
    source_record_id as visit_id,
    contact_id_typed as contact_id,
    visitor_id,
    occurred_at_typed as visited_at,
    page_url,
    page_title_typed as page_title,
    referrer as referrer_url,
    {{ to_channel("utm_source_typed", "utm_medium_typed", "referrer_host", "page_url_host") }} as channel,
    utm_campaign as campaign,
    {{ is_high_intent("page_url") }} as is_high_intent
{%- endset -%}
{#- Of the SQL itself: after a change of a repair or a setting the table is built anew, and nobody need remember it. -#}
{%- set logic_version = local_md5(checked_ctes("hubspot", columns, checks) ~ visit_columns) -%}
{{ config(
    materialized="incremental",
    access="private",
    incremental_strategy="merge",
    unique_key=["source_system", "source_record_id"],
    snowflake_warehouse=env_var("GTM_DBT_WAREHOUSE_LARGE", "") or none,
    cluster_by=["cast(visited_at as date)"] if env_var("GTM_DBT_CLUSTER_EVENTS", "false") == "true" else none,
    meta={"compares": ["logic_version"], "logic_version": logic_version},
) }}

with {{ new_checked_rows("hubspot", "web_visits", columns, checks) }}

select
    {{ record_columns() }},
    {{ visit_columns }},
    '{{ logic_version }}' as logic_version,
    {{ check_columns(columns) }}
from checked
