{{ config(materialized="table", access="private") }}
{%- set columns = {
    "id": "salesforce_id",
    "campaign_id": "salesforce_id",
    "lead_id": "salesforce_id",
    "contact_id": "salesforce_id",
    "status": "text",
    "has_responded": "boolean",
    "first_responded_date": "timestamp",
    "created_date": "timestamp",
    "system_modstamp": "text",
} -%}
{%- set checks = [
    (is_after_landing("first_responded_date"), "first_responded_date", "future_date"),
] -%}

with {{ checked_rows("salesforce", "campaign_members", columns, checks, salesforce_key="id") }}

select
    {{ record_columns() }},
    source_record_id as campaign_member_id,
    campaign_id_typed as campaign_id,
    lead_id_typed as lead_id,
    contact_id_typed as contact_id,
    status as member_status,
    coalesce(has_responded_typed, first_responded_date_typed is not null) as has_responded,
    first_responded_date_typed as responded_at,
    created_date_typed as created_at,
    {{ check_columns(columns) }}
from checked
