{{ config(materialized="table") }}
{%- set columns = [
    "id", "account_id", "name", "amount", "currency_iso_code", "stage_name", "type", "lead_source", "probability",
    "is_closed", "is_won", "close_date", "created_date", "system_modstamp",
] -%}
{%- set types = {
    "amount": "amount",
    "probability": "amount",
    "is_closed": "boolean",
    "is_won": "boolean",
    "close_date": "timestamp",
    "created_date": "timestamp",
} -%}

with cleaned as (
    select
        {{ load_columns() }},
        {{ json_row(columns + ["extra"]) }} as raw_row,
        {{ clean_columns(columns) }}
    from {{ source("raw", "salesforce_opportunities") }}
),

typed as (
    select
        cleaned.*,
        {{ usd_rate("amount", "currency_iso_code") }} as usd_rate,
        {{ typed_columns(types) }}
    from cleaned
)

select
    {{ load_columns() }},
    source_record_id as opportunity_id,
    account_id as salesforce_account_id,
    {{ decode_entities("name") }} as opportunity_name,
    cast(amount_typed * usd_rate as decimal(18, 2)) as amount_usd,
    stage_name,
    type as opportunity_type,
    lead_source,
    probability_typed as probability_percent,
    coalesce(
        is_closed_typed, is_won_typed, lower(stage_name) like 'closed%', false
    ) as is_closed,
    coalesce(is_won_typed, lower(stage_name) = 'closed won', false) as is_won,
    close_date_typed as close_at,
    created_date_typed as created_at,
    {{ failed_checks("id", types, [
        ("amount_typed < 0", "amount", "negative_amount"),
        ("amount is not null and usd_rate is null", "currency_iso_code", "unknown_currency"),
    ]) }},
    case when failed_checks <> '' then raw_row end as failed_row,
    {{ audit_columns() }}
from typed
