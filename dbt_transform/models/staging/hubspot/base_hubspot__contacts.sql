{{ config(materialized="table") }}
{%- set columns = [
    "id", "email", "firstname", "lastname", "jobtitle", "phone", "company_id", "company", "lifecyclestage",
    "hs_merged_object_ids", "createdate", "lastmodifieddate",
] -%}
{%- set types = {
    "createdate": "timestamp",
} -%}

with cleaned as (
    select
        {{ load_columns() }},
        {{ json_row(columns + ["extra"]) }} as raw_row,
        {{ clean_columns(columns) }}
    from {{ source("raw", "hubspot_contacts") }}
),

typed as (
    select
        cleaned.*,
        {{ typed_columns(types) }}
    from cleaned
)

select
    {{ load_columns() }},
    source_record_id as contact_id,
    {{ parse_email("email") }} as email,
    split_part({{ parse_email("email") }}, '@', 2) as email_domain,
    {{ decode_entities("firstname") }} as first_name,
    {{ decode_entities("lastname") }} as last_name,
    {{ decode_entities("jobtitle") }} as job_title,
    phone,
    company_id,
    {{ decode_entities("company") }} as company_name,
    {{ to_lifecycle_stage("lifecyclestage") }} as lifecycle_stage,
    hs_merged_object_ids as merged_contact_ids,
    createdate_typed as created_at,
    {{ failed_checks("id", types) }},
    case when failed_checks <> '' then raw_row end as failed_row,
    {{ audit_columns() }}
from typed
