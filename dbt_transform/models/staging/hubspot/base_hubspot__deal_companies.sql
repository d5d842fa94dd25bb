{{ config(materialized="table", access="private") }}
{%- set columns = {
    "deal_id": "hubspot_id",
    "company_id": "hubspot_id",
} -%}
{%- set checks = [
    ("deal_id is null", "deal_id", "missing_value"),
    ("company_id is null", "company_id", "missing_value"),
] -%}

with {{ checked_rows("hubspot", "deal_companies", columns, checks) }}

select
    {{ record_columns() }},
    deal_id_typed as deal_id,
    company_id_typed as company_id,
    {{ check_columns(columns) }}
from checked
