{{ config(
    materialized="table",
    access="private",
    snowflake_warehouse=env_var("GTM_DBT_WAREHOUSE_LARGE", "") or none,
) }}
{%- set columns = {
    "id": "text",
    "event_type": "text",
    "recipient": "email",
    "email_campaign_id": "hubspot_id",
    "is_filtered": "boolean",
    "occurred_at": "timestamp",
} -%}
{%- set checks = [
    ("event_type is null", "event_type", "missing_value"),
    ("occurred_at is null", "occurred_at", "missing_value"),
    (is_after_landing("occurred_at"), "occurred_at", "future_date"),
] -%}

with {{ checked_rows("hubspot", "email_events", columns, checks) }}

select
    {{ record_columns() }},
    source_record_id as email_event_id,
    lower(event_type) as event_type,
    recipient_typed as recipient_email,
    email_campaign_id_typed as email_campaign_id,
    coalesce(is_filtered_typed, false) as is_filtered,
    occurred_at_typed as occurred_at,
    {{ check_columns(columns) }}
from checked
