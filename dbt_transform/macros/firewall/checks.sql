{#
    The data firewall. A base model names the type of each column that the marts compute with; the columns are typed
    once, as `<column>_typed`, and every failed check adds `<raw column>:<reason code>;` to `failed_checks`.
    Staging keeps the rows whose list is empty, quarantine_rows the others. Base models are tables, since every date
    would else be read again by each of the views, marts and tests behind them.

    The rule: text that is present in a typed column must be readable as its type. Null is fine in every optional column,
    a broken email or domain becomes null, and a reference to a record that was never exported stays: real exports
    have all three.
#}
{% macro typed_columns(types) -%}
    {%- for column, type in types.items() %}
    {% if type == "timestamp" %}{{ parse_timestamp(column) }}
    {%- elif type == "amount" %}{{ parse_amount(column) }}
    {%- elif type == "count" %}{{ parse_count(column) }}
    {%- elif type == "boolean" %}{{ parse_boolean(column) }}
    {%- endif %} as {{ column }}_typed{{ "," if not loop.last }}
    {%- endfor %}
{%- endmacro %}


{% macro failed_checks(key, types, more_checks=[]) -%}
    {%- set reasons = {
        "timestamp": "not_a_date", "amount": "not_a_number", "count": "not_a_number", "boolean": "not_a_boolean",
    } -%}
    {{ failed_check("coalesce(trim(source_record_id), '') = '' or source_record_id like 'keyless:%'", key, "missing_key") }}
    {%- for column, type in types.items() %}
    || {{ failed_check(column ~ " is not null and " ~ column ~ "_typed is null", column, reasons[type]) }}
    {%- endfor %}
    {%- for condition, column, reason_code in more_checks %}
    || {{ failed_check(condition, column, reason_code) }}
    {%- endfor %}
    as failed_checks
{%- endmacro %}


{% macro failed_check(condition, column, reason_code) -%}
    case when {{ condition }} then '{{ column }}:{{ reason_code }};' else '' end
{%- endmacro %}


{# What ingest wrote beside the source's columns, carried through staging. #}
{% macro load_columns() -%}
    source_system,
    source_record_id,
    source_updated_at,
    coalesce(is_deleted, false) as is_deleted,
    load_id,
    loaded_at
{%- endmacro %}
