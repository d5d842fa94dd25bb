{{ config(materialized="table", access="private") }}
{%- set columns = {
    "deal_id": "hubspot_id",
    "contact_id": "hubspot_id",
} -%}
{%- set checks = [
    ("deal_id is null", "deal_id", "missing_value"),
    ("contact_id is null", "contact_id", "missing_value"),
] -%}

with {{ checked_rows("hubspot", "deal_contacts", columns, checks) }}

select
    {{ record_columns() }},
    deal_id_typed as deal_id,
    contact_id_typed as contact_id,
    {{ check_columns(columns) }}
from checked
