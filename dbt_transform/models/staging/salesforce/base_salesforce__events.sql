{{ config(materialized="table", access="private") }}
{%- set columns = {
    "id": "salesforce_id",
    "account_id": "salesforce_id",
    "what_id": "salesforce_id",
    "who_id": "salesforce_id",
    "owner_id": "salesforce_id",
    "subject": "name",
    "type": "text",
    "activity_date_time": "timestamp",
    "duration_in_minutes": "count",
    "created_date": "timestamp",
    "system_modstamp": "text",
} -%}

with {{ checked_rows("salesforce", "events", columns, salesforce_key="id") }}

select
    {{ record_columns() }},
    source_record_id as event_id,
    account_id_typed as salesforce_account_id,
    what_id_typed as related_record_id,
    who_id_typed as person_record_id,
    owner_id_typed as owner_id,
    subject_typed as subject,
    type as event_type,
    activity_date_time_typed as starts_at,
    duration_in_minutes_typed as duration_minutes,
    created_date_typed as created_at,
    {{ check_columns(columns) }}
from checked
