{# Nothing lost, nothing doubled: for each RAW table, rows in staging + distinct rows in quarantine = rows in RAW. #}
{%- set raw_tables = {
    "hubspot_companies": "stg_hubspot__companies",
    "hubspot_contacts": "stg_hubspot__contacts",
    "hubspot_deals": "stg_hubspot__deals",
    "hubspot_web_visits": "stg_hubspot__web_visits",
    "salesforce_accounts": "stg_salesforce__accounts",
    "salesforce_contacts": "stg_salesforce__contacts",
    "salesforce_opportunities": "stg_salesforce__opportunities",
    "salesforce_opportunity_history": "stg_salesforce__opportunity_history",
} -%}

with counted as (
    {%- for raw_table, staging_view in raw_tables.items() %}
    select
        '{{ raw_table }}' as source_table,
        (select count(*) from {{ source("raw", raw_table) }}) as raw_rows,
        (select count(*) from {{ ref(staging_view) }}) as staged_rows,
        (
            select count(distinct source_system || '|' || source_record_id) from {{ ref("quarantine_rows") }}
            where source_table = '{{ raw_table }}'
        ) as quarantined_rows
    {{ "union all" if not loop.last }}
    {%- endfor %}
)

select * from counted
where staged_rows + quarantined_rows <> raw_rows
