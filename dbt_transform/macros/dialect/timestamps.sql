{# A moment of text in the pattern `YYYY-MM-DD[(T| )HH:MM:SS[.ffffff][Z]]`, null for a day or time that does not exist. #}
{% macro timestamp_of_iso(text) -%}
    {{ adapter.dispatch('timestamp_of_iso')(text) }}
{%- endmacro %}

{% macro default__timestamp_of_iso(text) -%}
    try_cast(replace(replace({{ text }}, 'T', ' '), 'Z', '') as datetime)
{%- endmacro %}

{# DuckDB's own cast reads `T` and `Z`, three times as fast. #}
{% macro duckdb__timestamp_of_iso(text) -%}
    try_cast({{ text }} as timestamp)
{%- endmacro %}
