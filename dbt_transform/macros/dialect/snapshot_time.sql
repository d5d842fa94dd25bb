{#
    When a snapshot's versions begin and end: the start of the run, naive UTC, as in the audit columns. DuckDB's own
    current time has a time zone, whose arithmetic needs an extension that we don't ship. Snowflake's adapter gives naive
    UTC by itself.
#}
{% macro duckdb__snapshot_get_time() -%}
    cast('{{ run_started_at.strftime("%Y-%m-%d %H:%M:%S.%f") }}' as timestamp)
{%- endmacro %}
