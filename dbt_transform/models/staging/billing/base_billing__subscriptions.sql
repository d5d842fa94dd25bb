{{ config(materialized="table", access="private") }}
{%- set columns = {
    "id": "text",
    "salesforce_account_id": "salesforce_id",
    "hubspot_company_id": "hubspot_id",
    "customer_domain": "domain",
    "plan": "name",
    "seats": "count",
    "arr": "money:currency",
    "currency": "text",
    "started_at": "timestamp",
    "ended_at": "timestamp",
} -%}
{%- set checks = [
    ("arr is null", "arr", "missing_value"),
    ("started_at is null", "started_at", "missing_value"),
    ("ended_at_typed < started_at_typed", "ended_at", "ends_before_start"),
] -%}

with {{ checked_rows("billing", "subscriptions", columns, checks) }}

select
    {{ record_columns() }},
    source_record_id as subscription_id,
    salesforce_account_id_typed as salesforce_account_id,
    hubspot_company_id_typed as hubspot_company_id,
    registrable_customer_domain as domain,
    plan_typed as plan_name,
    seats_typed as seats,
    arr_usd,
    started_at_typed as started_at,
    ended_at_typed as ended_at,
    {{ check_columns(columns) }}
from checked
