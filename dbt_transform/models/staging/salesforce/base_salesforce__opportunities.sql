{{ config(materialized="table", access="private") }}
{%- set columns = {
    "id": "salesforce_id",
    "account_id": "salesforce_id",
    "name": "name",
    "amount": "money:currency_iso_code",
    "currency_iso_code": "text",
    "stage_name": "text",
    "type": "text",
    "lead_source": "text",
    "probability": "number",
    "is_closed": "boolean",
    "is_won": "boolean",
    "close_date": "timestamp",
    "created_date": "timestamp",
    "system_modstamp": "text",
    "owner_id": "salesforce_id",
    "campaign_id": "salesforce_id",
} -%}

with {{ checked_rows("salesforce", "opportunities", columns, salesforce_key="id") }}

select
    {{ record_columns() }},
    source_record_id as opportunity_id,
    account_id_typed as salesforce_account_id,
    name_typed as opportunity_name,
    amount_usd,
    amount_currency as currency_code,
    stage_name,
    type as opportunity_type,
    lead_source,
    probability_typed as probability_percent,
    -- "Not won" doesn't say that it is over: the stage does.
    coalesce(
        is_closed_typed,
        case when is_won_typed then true end,
        {{ is_closed_stage("stage_name") }},
        false
    ) as is_closed,
    coalesce(is_won_typed, {{ is_won_stage("stage_name") }}, false) as is_won,
    owner_id_typed as owner_id,
    campaign_id_typed as campaign_id,
    close_date_typed as close_at,
    created_date_typed as created_at,
    {{ check_columns(columns) }}
from checked
