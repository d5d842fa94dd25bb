{{ config(materialized="table", access="private") }}
{%- set columns = {
    "id": "text",
    "email": "email",
    "first_name": "name",
    "last_name": "name",
    "user_id": "hubspot_id",
    "archived": "boolean",
    "created_at": "timestamp",
    "updated_at": "text",
} -%}

with {{ checked_rows("hubspot", "owners", columns) }}

select
    {{ record_columns() }},
    source_record_id as owner_id,
    email_typed as email,
    first_name_typed as first_name,
    last_name_typed as last_name,
    user_id_typed as user_id,
    coalesce(archived_typed, false) as is_archived,
    created_at_typed as created_at,
    {{ check_columns(columns) }}
from checked
