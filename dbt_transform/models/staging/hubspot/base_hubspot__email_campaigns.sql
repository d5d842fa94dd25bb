{{ config(materialized="table", access="private") }}
{%- set columns = {
    "id": "text",
    "name": "name",
    "subject": "name",
    "type": "text",
} -%}

with {{ checked_rows("hubspot", "email_campaigns", columns) }}

select
    {{ record_columns() }},
    source_record_id as email_campaign_id,
    name_typed as campaign_name,
    subject_typed as subject,
    {{ check_columns(columns) }}
from checked
