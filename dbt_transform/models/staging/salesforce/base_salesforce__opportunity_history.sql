{{ config(materialized="table", access="private") }}
{%- set columns = {
    "id": "salesforce_id",
    "opportunity_id": "salesforce_id",
    "stage_name": "text",
    "amount": "amount",
    "probability": "number",
    "close_date": "timestamp",
    "created_date": "timestamp",
} -%}
{%- set checks = [
    (is_after_landing("created_date"), "created_date", "future_date"),
] -%}

with {{ checked_rows("salesforce", "opportunity_history", columns, checks, salesforce_key="id") }}

select
    {{ record_columns() }},
    source_record_id as opportunity_history_id,
    opportunity_id_typed as opportunity_id,
    stage_name,
    amount_typed as amount_in_currency,
    probability_typed as probability_percent,
    close_date_typed as close_at,
    created_date_typed as changed_at,
    {{ check_columns(columns) }}
from checked
