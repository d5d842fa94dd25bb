{{ config(materialized="table", access="private") }}
{%- set columns = {
    "id": "salesforce_id",
    "account_id": "salesforce_id",
    "what_id": "salesforce_id",
    "who_id": "salesforce_id",
    "owner_id": "salesforce_id",
    "subject": "name",
    "type": "text",
    "status": "text",
    "is_closed": "boolean",
    "activity_date": "timestamp",
    "completed_date_time": "timestamp",
    "created_date": "timestamp",
    "system_modstamp": "text",
} -%}

with {{ checked_rows("salesforce", "tasks", columns, salesforce_key="id") }}

select
    {{ record_columns() }},
    source_record_id as task_id,
    account_id_typed as salesforce_account_id,
    what_id_typed as related_record_id,
    who_id_typed as person_record_id,
    owner_id_typed as owner_id,
    subject_typed as subject,
    type as task_type,
    status as task_status,
    coalesce(is_closed_typed, lower(status) = 'completed', completed_date_time_typed is not null) as is_completed,
    activity_date_typed as due_at,
    completed_date_time_typed as completed_at,
    created_date_typed as created_at,
    {{ check_columns(columns) }}
from checked
