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


{#
    A moment as text to the microsecond, the same on both engines. A cast shows what a setting of the session says
    (Snowflake: three digits, and only those), or leaves out what is zero (DuckDB).
#}
{% macro timestamp_text(moment) -%}
    {{ adapter.dispatch('timestamp_text')(moment) }}
{%- endmacro %}

{% macro default__timestamp_text(moment) -%}
    to_varchar(cast({{ moment }} as timestamp), 'YYYY-MM-DD HH24:MI:SS.FF6')
{%- endmacro %}

{% macro duckdb__timestamp_text(moment) -%}
    strftime({{ moment }}, '%Y-%m-%d %H:%M:%S.%f')
{%- endmacro %}


{# A day as YYYY-MM-DD, whatever the session's settings say of dates. #}
{% macro date_text(day) -%}
    {{ adapter.dispatch('date_text')(day) }}
{%- endmacro %}

{% macro default__date_text(day) -%}
    to_varchar(cast({{ day }} as date), 'YYYY-MM-DD')
{%- endmacro %}

{% macro duckdb__date_text(day) -%}
    strftime({{ day }}, '%Y-%m-%d')
{%- endmacro %}
