{{ config(materialized="table", access="private") }}
{%- set columns = {
    "id": "text",
    "name": "name",
    "domain": "domain",
    "industry": "text",
    "city": "name",
    "state": "text",
    "country": "text",
    "numberofemployees": "count",
    "annualrevenue": "money",
    "lifecyclestage": "text",
    "fleet_size": "count",
    "vehicle_type": "text",
    "salesforce_account_id": "salesforce_id",
    "createdate": "timestamp",
    "hs_lastmodifieddate": "text",
    "hs_merged_object_ids": "hubspot_ids",
} -%}

with {{ checked_rows("hubspot", "companies", columns) }}

select
    {{ record_columns() }},
    source_record_id as company_id,
    name_typed as company_name,
    registrable_domain as domain,
    {{ to_industry("industry") }} as industry,
    city_typed as city,
    state,
    {{ to_country("country") }} as country,
    numberofemployees_typed as employees,
    annualrevenue_usd as annual_revenue_usd,
    {{ to_lifecycle_stage("lifecyclestage") }} as lifecycle_stage,
    fleet_size_typed as fleet_size,
    {{ to_vehicle_type("vehicle_type") }} as vehicle_type,
    salesforce_account_id_typed as salesforce_account_id,
    hs_merged_object_ids_typed as merged_company_ids,
    createdate_typed as created_at,
    {{ check_columns(columns) }}
from checked
