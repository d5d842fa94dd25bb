{{ config(materialized="table", access="private") }}
{%- set columns = {
    "id": "text",
    "email": "email",
    "firstname": "name",
    "lastname": "name",
    "jobtitle": "name",
    "phone": "text",
    "company_id": "hubspot_id",
    "company": "name",
    "lifecyclestage": "text",
    "hs_merged_object_ids": "hubspot_ids",
    "createdate": "timestamp",
    "lastmodifieddate": "text",
    "salesforce_contact_id": "salesforce_id",
    "salesforce_lead_id": "salesforce_id",
} -%}

with {{ checked_rows("hubspot", "contacts", columns) }}

select
    {{ record_columns() }},
    source_record_id as contact_id,
    email_typed as email,
    registrable_email as email_domain,
    firstname_typed as first_name,
    lastname_typed as last_name,
    jobtitle_typed as job_title,
    phone,
    company_id_typed as company_id,
    company_typed as company_name,
    {{ to_lifecycle_stage("lifecyclestage") }} as lifecycle_stage,
    salesforce_contact_id_typed as salesforce_contact_id,
    salesforce_lead_id_typed as salesforce_lead_id,
    hs_merged_object_ids_typed as merged_contact_ids,
    createdate_typed as created_at,
    {{ check_columns(columns) }}
from checked
