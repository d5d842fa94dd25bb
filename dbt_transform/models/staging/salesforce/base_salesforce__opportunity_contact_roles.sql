{{ config(materialized="table", access="private") }}
{%- set columns = {
    "id": "salesforce_id",
    "opportunity_id": "salesforce_id",
    "contact_id": "salesforce_id",
    "role": "name",
    "is_primary": "boolean",
    "created_date": "timestamp",
    "system_modstamp": "text",
} -%}
{%- set checks = [
    ("opportunity_id is null", "opportunity_id", "missing_value"),
    ("contact_id is null", "contact_id", "missing_value"),
] -%}

with {{ checked_rows("salesforce", "opportunity_contact_roles", columns, checks, salesforce_key="id") }}

select
    {{ record_columns() }},
    source_record_id as opportunity_contact_role_id,
    opportunity_id_typed as opportunity_id,
    contact_id_typed as contact_id,
    role_typed as contact_role,
    coalesce(is_primary_typed, false) as is_primary,
    created_date_typed as created_at,
    {{ check_columns(columns) }}
from checked
