{#
    The tables of each source, and so the base and staging models: base_<source>__<table>. All of RAW's but
    hubspot_properties, which describes HubSpot's fields and holds no records.
#}
{% macro staged_tables() -%}
    {{ {
        "hubspot": [
            "companies", "contacts", "deals", "pipeline_stages", "deal_stage_history", "deal_companies", "deal_contacts",
            "web_visits", "form_submissions", "email_events", "email_campaigns", "contact_merges", "deal_merges",
            "owners", "contact_companies",
        ],
        "salesforce": [
            "accounts", "contacts", "leads", "opportunities", "opportunity_history", "campaigns", "campaign_members",
            "tasks", "opportunity_contact_roles", "events", "users",
        ],
        "billing": ["subscriptions"],
    } | tojson }}
{%- endmacro %}


{#
    A quarantine model: one row per RAW row of the source and failed check.

    `failed_checks` holds up to `most_checks` of `<raw column>:<reason code>;`, more than any base model has.
#}
{% macro quarantined_rows(source_system) -%}
    {%- set tables = fromjson(staged_tables())[source_system] -%}
    {%- set most_checks = 12 -%}
with failed_rows as (
    {%- for table in tables %}
    select
        source_system,
        '{{ source_system }}_{{ table }}' as source_table,
        failed_record_id as source_record_id,
        load_id,
        loaded_at,
        failed_row as raw_row,
        failed_checks
    from {{ ref("base_" ~ source_system ~ "__" ~ table) }}
    where failed_checks <> ''
    {{ "union all" if not loop.last }}
    {%- endfor %}
),

places as (
    {%- for place in range(1, most_checks + 1) %}
    select {{ place }} as place
    {{ "union all" if not loop.last }}
    {%- endfor %}
),

-- Two amounts of a row without a rate name the same currency column: one thing to mend.
failed as (
    select distinct
        failed_rows.*,
        split_part(split_part(failed_rows.failed_checks, ';', places.place), ':', 1) as column_name,
        split_part(split_part(failed_rows.failed_checks, ';', places.place), ':', 2) as reason_code
    from failed_rows
    inner join places on split_part(failed_rows.failed_checks, ';', places.place) <> ''
)

select
    md5(source_table || '|' || source_record_id || '|' || column_name || '|' || reason_code) as quarantine_id,
    source_system,
    source_table,
    source_record_id,
    load_id,
    loaded_at,
    column_name,
    reason_code,
    {{ reason_text("column_name", "reason_code") }} as reason,
    {{ json_text("raw_row", "column_name") }} as raw_value,
    raw_row,
    {{ audit_columns() }}
from failed
{%- endmacro %}
