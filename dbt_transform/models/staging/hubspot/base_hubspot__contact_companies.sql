{{ config(materialized="table", access="private") }}
{%- set columns = {
    "contact_id": "hubspot_id",
    "company_id": "hubspot_id",
    "label": "name",
} -%}
{%- set checks = [
    ("contact_id is null", "contact_id", "missing_value"),
    ("company_id is null", "company_id", "missing_value"),
] -%}

with {{ checked_rows("hubspot", "contact_companies", columns, checks) }}

select
    {{ record_columns() }},
    contact_id_typed as contact_id,
    company_id_typed as company_id,
    label_typed as association_label,
    {{ check_columns(columns) }}
from checked
