{{ config(materialized="table", access="private") }}
{%- set columns = {
    "id": "text",
    "dealname": "name",
    "amount": "money:deal_currency_code",
    "deal_currency_code": "text",
    "pipeline": "text",
    "dealstage": "text",
    "hs_is_closed": "boolean",
    "hs_is_closed_won": "boolean",
    "company_id": "hubspot_id",
    "owner_id": "hubspot_id",
    "closedate": "timestamp",
    "createdate": "timestamp",
    "hs_lastmodifieddate": "text",
    "dealtype": "text",
    "salesforce_opportunity_id": "salesforce_id",
    "hs_merged_object_ids": "hubspot_ids",
} -%}

with {{ checked_rows("hubspot", "deals", columns) }}

select
    {{ record_columns() }},
    source_record_id as deal_id,
    dealname_typed as deal_name,
    amount_usd,
    amount_currency as currency_code,
    pipeline as pipeline_id,
    dealstage as stage_id,
    dealtype as deal_type,
    coalesce(hs_is_closed_typed, case when hs_is_closed_won_typed then true end) as is_closed,
    coalesce(hs_is_closed_won_typed, case when not hs_is_closed_typed then false end) as is_won,
    company_id_typed as company_id,
    owner_id_typed as owner_id,
    salesforce_opportunity_id_typed as salesforce_opportunity_id,
    hs_merged_object_ids_typed as merged_deal_ids,
    closedate_typed as close_at,
    createdate_typed as created_at,
    {{ check_columns(columns) }}
from checked
