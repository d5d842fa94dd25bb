{{ config(materialized="table", access="private") }}
{%- set columns = {
    "id": "salesforce_id",
    "name": "name",
    "type": "text",
    "status": "text",
    "start_date": "timestamp",
    "end_date": "timestamp",
    "budgeted_cost": "money:currency_iso_code",
    "actual_cost": "money:currency_iso_code",
    "currency_iso_code": "text",
    "is_active": "boolean",
    "created_date": "timestamp",
    "system_modstamp": "text",
} -%}

with {{ checked_rows("salesforce", "campaigns", columns, salesforce_key="id") }}

select
    {{ record_columns() }},
    source_record_id as campaign_id,
    name_typed as campaign_name,
    type as campaign_type,
    status as campaign_status,
    start_date_typed as start_at,
    end_date_typed as end_at,
    budgeted_cost_usd,
    actual_cost_usd,
    created_date_typed as created_at,
    {{ check_columns(columns) }}
from checked
