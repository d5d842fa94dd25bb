{{ config(materialized="table", access="private") }}
{%- set columns = {
    "id": "salesforce_id",
    "name": "name",
    "website": "domain",
    "industry": "text",
    "type": "text",
    "billing_city": "name",
    "billing_state": "text",
    "billing_country": "text",
    "number_of_employees": "count",
    "annual_revenue": "money",
    "fleet_size": "count",
    "vehicle_type": "text",
    "hubspot_company_id": "hubspot_id",
    "master_record_id": "salesforce_id",
    "owner_id": "salesforce_id",
    "created_date": "timestamp",
    "system_modstamp": "text",
} -%}

with {{ checked_rows("salesforce", "accounts", columns, salesforce_key="id") }}

select
    {{ record_columns() }},
    source_record_id as salesforce_account_id,
    name_typed as company_name,
    registrable_website as domain,
    {{ to_industry("industry") }} as industry,
    billing_city_typed as city,
    billing_state as state,
    {{ to_country("billing_country") }} as country,
    number_of_employees_typed as employees,
    annual_revenue_usd,
    {{ to_lifecycle_stage("type") }} as lifecycle_stage,
    fleet_size_typed as fleet_size,
    {{ to_vehicle_type("vehicle_type") }} as vehicle_type,
    hubspot_company_id_typed as hubspot_company_id,
    master_record_id_typed as master_record_id,
    owner_id_typed as owner_id,
    created_date_typed as created_at,
    {{ check_columns(columns) }}
from checked
