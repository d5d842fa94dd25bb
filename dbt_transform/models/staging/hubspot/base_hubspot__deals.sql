{{ config(materialized="table") }}
{%- set columns = [
    "id", "dealname", "amount", "deal_currency_code", "pipeline", "dealstage", "hs_is_closed", "hs_is_closed_won",
    "company_id", "owner_id", "closedate", "createdate", "hs_lastmodifieddate",
] -%}
{%- set types = {
    "amount": "amount",
    "hs_is_closed": "boolean",
    "hs_is_closed_won": "boolean",
    "closedate": "timestamp",
    "createdate": "timestamp",
} -%}

with cleaned as (
    select
        {{ load_columns() }},
        {{ json_row(columns + ["extra"]) }} as raw_row,
        {{ clean_columns(columns) }}
    from {{ source("raw", "hubspot_deals") }}
),

typed as (
    select
        cleaned.*,
        {{ usd_rate("amount", "deal_currency_code") }} as usd_rate,
        {{ typed_columns(types) }}
    from cleaned
)

select
    {{ load_columns() }},
    source_record_id as deal_id,
    {{ decode_entities("dealname") }} as deal_name,
    cast(amount_typed * usd_rate as decimal(18, 2)) as amount_usd,
    pipeline as pipeline_name,
    dealstage as stage_name,
    coalesce(
        hs_is_closed_typed,
        hs_is_closed_won_typed,
        replace(lower(dealstage), ' ', '') in ('closedwon', 'closedlost'),
        false
    ) as is_closed,
    coalesce(hs_is_closed_won_typed, replace(lower(dealstage), ' ', '') = 'closedwon', false) as is_won,
    company_id,
    owner_id,
    closedate_typed as close_at,
    createdate_typed as created_at,
    {{ failed_checks("id", types, [
        ("amount_typed < 0", "amount", "negative_amount"),
        ("amount is not null and usd_rate is null", "deal_currency_code", "unknown_currency"),
    ]) }},
    case when failed_checks <> '' then raw_row end as failed_row,
    {{ audit_columns() }}
from typed
