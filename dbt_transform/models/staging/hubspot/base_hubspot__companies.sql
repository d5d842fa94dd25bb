{{ config(materialized="table") }}
{%- set columns = [
    "id", "name", "domain", "industry", "city", "state", "country", "numberofemployees", "annualrevenue",
    "lifecyclestage", "fleet_size", "vehicle_type", "salesforce_account_id", "createdate", "hs_lastmodifieddate",
] -%}
{%- set types = {
    "numberofemployees": "count",
    "annualrevenue": "amount",
    "fleet_size": "count",
    "createdate": "timestamp",
} -%}

with cleaned as (
    select
        {{ load_columns() }},
        {{ json_row(columns + ["extra"]) }} as raw_row,
        {{ clean_columns(columns) }}
    from {{ source("raw", "hubspot_companies") }}
),

typed as (
    select
        cleaned.*,
        {{ typed_columns(types) }}
    from cleaned
)

select
    {{ load_columns() }},
    source_record_id as company_id,
    {{ decode_entities("name") }} as company_name,
    {{ parse_domain("domain") }} as domain,
    {{ to_industry("industry") }} as industry,
    {{ decode_entities("city") }} as city,
    state,
    {{ to_country("country") }} as country,
    numberofemployees_typed as employees,
    annualrevenue_typed as annual_revenue_usd,
    {{ to_lifecycle_stage("lifecyclestage") }} as lifecycle_stage,
    fleet_size_typed as fleet_size,
    {{ to_vehicle_type("vehicle_type") }} as vehicle_type,
    salesforce_account_id,
    createdate_typed as created_at,
    {{ failed_checks("id", types, [
        ("annualrevenue_typed < 0", "annualrevenue", "negative_amount"),
    ]) }},
    case when failed_checks <> '' then raw_row end as failed_row,
    {{ audit_columns() }}
from typed
