{{ config(materialized="table") }}
{%- set columns = [
    "id", "account_id", "email", "first_name", "last_name", "title", "phone", "lead_source", "master_record_id",
    "created_date", "system_modstamp",
] -%}
{%- set types = {
    "created_date": "timestamp",
} -%}

with cleaned as (
    select
        {{ load_columns() }},
        {{ json_row(columns + ["extra"]) }} as raw_row,
        {{ clean_columns(columns) }}
    from {{ source("raw", "salesforce_contacts") }}
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
    account_id as salesforce_account_id,
    {{ parse_email("email") }} as email,
    split_part({{ parse_email("email") }}, '@', 2) as email_domain,
    {{ decode_entities("first_name") }} as first_name,
    {{ decode_entities("last_name") }} as last_name,
    {{ decode_entities("title") }} as job_title,
    phone,
    lead_source,
    master_record_id,
    created_date_typed as created_at,
    {{ failed_checks("id", types) }},
    case when failed_checks <> '' then raw_row end as failed_row,
    {{ audit_columns() }}
from typed
