{# One text per row: a `<raw column>:<reason code>;` for each check that fails. reason_texts() says what they mean. #}
{% macro failed_checks(columns, checks, salesforce_key) -%}
    {%- set key = salesforce_key or (columns | list)[0] -%}
    {{ failed_check("coalesce(trim(landed_record_id), '') = '' or landed_record_id like 'keyless:%'", key, "missing_key") }}
    {%- if salesforce_key %}
    || {{ failed_check("version > 1", key, "duplicate_key") }}
    {%- endif %}
    {%- for column, type in columns.items() %}
    {%- set kind = type.split(":")[0] -%}
    {%- set reason = {
        "timestamp": "not_a_date", "number": "not_a_number", "amount": "not_a_number", "money": "not_a_number",
        "count": "not_a_number", "boolean": "not_a_boolean",
    }.get(kind) -%}
    {%- if reason %}
    || {{ failed_check(column ~ " is not null and " ~ column ~ "_typed is null", column, reason) }}
    {%- endif %}
    {%- if kind in ("amount", "money") %}
    || {{ failed_check(column ~ "_typed < 0", column, "negative_amount") }}
    {%- endif %}
    {%- if kind == "money" %}
    || {{ failed_currency(column, type.split(":")[1] if ":" in type else none) }}
    {%- endif %}
    {%- endfor %}
    {%- for condition, column, reason in checks %}
    || {{ failed_check(condition, column, reason) }}
    {%- endfor %}
{%- endmacro %}


{% macro failed_check(condition, column, reason) -%}
    case when {{ condition }} then '{{ column }}:{{ reason }};' else '' end
{%- endmacro %}


{# An amount without a rate; the column to mend is the currency's, else the amount's own, whose text names the currency. #}
{% macro failed_currency(column, currency_column) -%}
    {%- set unknown = column ~ "_typed is not null and " ~ column ~ "_usd is null" -%}
    {%- if currency_column %}
    case
        when {{ unknown }} and {{ currency_column }} is not null then '{{ currency_column }}:unknown_currency;'
        when {{ unknown }} then '{{ column }}:unknown_currency;'
        else ''
    end
    {%- else -%}
    {{ failed_check(unknown, column, "unknown_currency") }}
    {%- endif -%}
{%- endmacro %}


{#
    A moment over a day after its row was landed: a wrong clock or a wrong year. Compared with the landing and not with
    today, so that a row's outcome never changes by itself; the day is for sources that forget their time zone.
#}
{% macro is_after_landing(column) -%}
    {{ column }}_typed > {{ dbt.dateadd("day", 1, "loaded_at") }}
{%- endmacro %}


{# What a reason code says about its column, and the mend. #}
{% macro reason_text(column_name, reason_code) -%}
    {%- set texts = {
        "missing_key": "is empty: the record has no key to follow it by. Fill it in the source, or map the column that holds the key",
        "duplicate_key": "names a record that RAW also holds in a newer version, under its 15- or 18-character id. Export one form of the id",
        "missing_value": "is empty, and the row means nothing without it. Fill it in the source",
        "not_a_date": "holds text that is no date in a notation we read. Correct it in the source; where days come before months set GTM_DATE_ORDERS",
        "future_date": "lies more than a day after the row was landed, though it says what has happened. Correct it in the source",
        "ends_before_start": "lies before the start. Correct one of the two in the source",
        "not_a_number": "holds text that is no number in the allowed range. Correct it in the source",
        "not_a_boolean": "holds text that is neither true nor false. Correct it in the source",
        "negative_amount": "is negative. Correct it in the source",
        "unknown_currency": "names a currency without a rate. Add it to GTM_USD_EXCHANGE_RATES",
    } -%}
    {{ column_name }} || case {{ reason_code }}
        {%- for code, text in texts.items() %}
        when '{{ code }}' then ' {{ text }}'
        {%- endfor %}
    end
{%- endmacro %}
