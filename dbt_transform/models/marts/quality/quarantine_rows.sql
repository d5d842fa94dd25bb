{%- set staged_tables = [
    "hubspot__companies", "hubspot__contacts", "hubspot__deals", "hubspot__web_visits", "salesforce__accounts",
    "salesforce__contacts", "salesforce__opportunities", "salesforce__opportunity_history",
] -%}
{#- More than any base model has checks. -#}
{%- set most_checks = 12 -%}

with failed_rows as (
    {%- for table in staged_tables %}
    select
        source_system,
        '{{ table | replace("__", "_") }}' as source_table,
        source_record_id,
        load_id,
        loaded_at,
        failed_row as raw_row,
        failed_checks
    from {{ ref("base_" ~ table) }}
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

failed as (
    select
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
    column_name || case reason_code
        when 'missing_key' then ' is empty: the record has no key to follow it by'
        when 'missing_value' then ' is empty, and the row means nothing without it'
        when 'not_a_date' then ' holds text that is no date in a notation we read'
        when 'not_a_number' then ' holds text that is no number in the allowed range'
        when 'not_a_boolean' then ' holds text that is neither true nor false'
        when 'negative_amount' then ' is negative'
        when 'unknown_currency' then ' names a currency without a rate in usd_exchange_rates'
    end as reason,
    {{ json_text("raw_row", "column_name") }} as raw_value,
    raw_row,
    {{ audit_columns() }}
from failed
