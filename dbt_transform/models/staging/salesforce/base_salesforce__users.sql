{{ config(materialized="table", access="private") }}
{%- set columns = {
    "id": "salesforce_id",
    "name": "name",
    "email": "email",
    "title": "name",
    "department": "name",
    "is_active": "boolean",
    "user_role_id": "salesforce_id",
    "created_date": "timestamp",
    "system_modstamp": "text",
} -%}

with {{ checked_rows("salesforce", "users", columns, salesforce_key="id") }}

select
    {{ record_columns() }},
    source_record_id as user_id,
    name_typed as full_name,
    email_typed as email,
    title_typed as job_title,
    department_typed as department,
    is_active_typed as is_active,
    user_role_id_typed as user_role_id,
    created_date_typed as created_at,
    {{ check_columns(columns) }}
from checked
