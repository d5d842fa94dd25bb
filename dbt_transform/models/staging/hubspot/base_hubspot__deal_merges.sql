{{ config(materialized="table", access="private") }}
{%- set columns = {
    "surviving_id": "hubspot_id",
    "merged_id": "hubspot_id",
    "merged_at": "timestamp",
} -%}
{%- set checks = [
    ("surviving_id is null", "surviving_id", "missing_value"),
    ("merged_id is null", "merged_id", "missing_value"),
] -%}

with {{ checked_rows("hubspot", "deal_merges", columns, checks) }}

select
    {{ record_columns() }},
    surviving_id_typed as surviving_deal_id,
    merged_id_typed as merged_deal_id,
    merged_at_typed as merged_at,
    {{ check_columns(columns) }}
from checked
