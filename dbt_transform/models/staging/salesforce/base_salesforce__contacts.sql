{{ config(materialized="table", access="private") }}
{%- set columns = {
    "id": "salesforce_id",
    "account_id": "salesforce_id",
    "email": "email",
    "first_name": "name",
    "last_name": "name",
    "title": "name",
    "phone": "text",
    "lead_source": "text",
    "master_record_id": "salesforce_id",
    "created_date": "timestamp",
    "system_modstamp": "text",
} -%}

with {{ checked_rows("salesforce", "contacts", columns, salesforce_key="id") }}

select
    {{ record_columns() }},
    source_record_id as contact_id,
    account_id_typed as salesforce_account_id,
    email_typed as email,
    registrable_email as email_domain,
    first_name_typed as first_name,
    last_name_typed as last_name,
    title_typed as job_title,
    phone,
    lead_source,
    master_record_id_typed as master_record_id,
    created_date_typed as created_at,
    {{ check_columns(columns) }}
from checked
