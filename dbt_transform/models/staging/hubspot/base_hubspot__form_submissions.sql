{{ config(materialized="table", access="private") }}
{%- set columns = {
    "id": "text",
    "contact_id": "hubspot_id",
    "form_id": "text",
    "form_name": "name",
    "page_url": "text",
    "submitted_at": "timestamp",
} -%}
{%- set checks = [
    ("submitted_at is null", "submitted_at", "missing_value"),
    (is_after_landing("submitted_at"), "submitted_at", "future_date"),
] -%}

with {{ checked_rows("hubspot", "form_submissions", columns, checks) }}

select
    {{ record_columns() }},
    source_record_id as submission_id,
    contact_id_typed as contact_id,
    form_id,
    form_name_typed as form_name,
    page_url,
    submitted_at_typed as submitted_at,
    {{ check_columns(columns) }}
from checked
