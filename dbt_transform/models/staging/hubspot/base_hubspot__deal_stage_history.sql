{{ config(materialized="table", access="private") }}
{%- set columns = {
    "deal_id": "hubspot_id",
    "stage_id": "text",
    "entered_at": "timestamp",
} -%}
{%- set checks = [
    ("deal_id is null", "deal_id", "missing_value"),
    ("stage_id is null", "stage_id", "missing_value"),
    ("entered_at is null", "entered_at", "missing_value"),
    (is_after_landing("entered_at"), "entered_at", "future_date"),
] -%}

with {{ checked_rows("hubspot", "deal_stage_history", columns, checks) }}

select
    {{ record_columns() }},
    deal_id_typed as deal_id,
    stage_id,
    entered_at_typed as entered_at,
    {{ check_columns(columns) }}
from checked
