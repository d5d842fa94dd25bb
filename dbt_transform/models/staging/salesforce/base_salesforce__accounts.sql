{{ config(materialized="table") }}
{%- set columns = [
    "id", "name", "website", "industry", "type", "billing_city", "billing_state", "billing_country",
    "number_of_employees", "annual_revenue", "fleet_size", "vehicle_type", "hubspot_company_id", "master_record_id",
    "owner_id", "created_date", "system_modstamp",
] -%}
{%- set types = {
    "number_of_employees": "count",
    "annual_revenue": "amount",
    "fleet_size": "count",
    "created_date": "timestamp",
} -%}

with cleaned as (
    select
        {{ load_columns() }},
        {{ json_row(columns + ["extra"]) }} as raw_row,
        {{ clean_columns(columns) }}
    from {{ source("raw", "salesforce_accounts") }}
),

typed as (
    select
        cleaned.*,
        {{ typed_columns(types) }}
    from cleaned
)

select
    {{ load_columns() }},
    source_record_id as salesforce_account_id,
    {{ decode_entities("name") }} as company_name,
    {{ parse_domain("website") }} as domain,
    {{ to_industry("industry") }} as industry,
    {{ decode_entities("billing_city") }} as city,
    billing_state as state,
    {{ to_country("billing_country") }} as country,
    number_of_employees_typed as employees,
    annual_revenue_typed as annual_revenue_usd,
    {{ to_lifecycle_stage("type") }} as lifecycle_stage,
    fleet_size_typed as fleet_size,
    {{ to_vehicle_type("vehicle_type") }} as vehicle_type,
    hubspot_company_id,
    master_record_id,
    owner_id,
    created_date_typed as created_at,
    {{ failed_checks("id", types, [
        ("annual_revenue_typed < 0", "annual_revenue", "negative_amount"),
    ]) }},
    case when failed_checks <> '' then raw_row end as failed_row,
    {{ audit_columns() }}
from typed
