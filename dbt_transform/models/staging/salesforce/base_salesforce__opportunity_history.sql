{{ config(materialized="table") }}
{%- set columns = ["id", "opportunity_id", "stage_name", "amount", "probability", "close_date", "created_date"] -%}
{%- set types = {
    "amount": "amount",
    "probability": "amount",
    "close_date": "timestamp",
    "created_date": "timestamp",
} -%}

with cleaned as (
    select
        {{ load_columns() }},
        {{ json_row(columns + ["extra"]) }} as raw_row,
        {{ clean_columns(columns) }}
    from {{ source("raw", "salesforce_opportunity_history") }}
),

typed as (
    select
        cleaned.*,
        {{ typed_columns(types) }}
    from cleaned
)

select
    {{ load_columns() }},
    source_record_id as opportunity_history_id,
    opportunity_id,
    stage_name,
    amount_typed as amount_in_currency,
    probability_typed as probability_percent,
    close_date_typed as close_at,
    created_date_typed as changed_at,
    {{ failed_checks("id", types, [
        ("amount_typed < 0", "amount", "negative_amount"),
    ]) }},
    case when failed_checks <> '' then raw_row end as failed_row,
    {{ audit_columns() }}
from typed
