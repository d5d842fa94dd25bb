{{ config(materialized="table", access="private") }}
{%- set columns = {
    "id": "text",
    "pipeline_id": "text",
    "label": "name",
    "is_closed": "boolean",
    "closed_won": "boolean",
    "probability": "number",
    "display_order": "count",
} -%}

with {{ checked_rows("hubspot", "pipeline_stages", columns) }}

select
    {{ record_columns() }},
    source_record_id as stage_id,
    pipeline_id,
    label_typed as stage_name,
    coalesce(is_closed_typed, case when closed_won_typed then true end) as is_closed,
    closed_won_typed as is_won,
    {{ percent_of_share("probability") }} as probability_percent,
    display_order_typed as display_order,
    {{ check_columns(columns) }}
from checked
