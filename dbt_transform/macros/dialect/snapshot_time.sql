{#
    When a snapshot's versions begin and end: the start of the run, naive UTC, as in the audit columns and so the same for
    every version of a build. DuckDB's own current time has a time zone, whose arithmetic needs an extension that we don't
    ship; Snowflake's is the moment of the statement.
#}
{% macro duckdb__snapshot_get_time() -%}
    {{ start_of_run() }}
{%- endmacro %}

{% macro snowflake__snapshot_get_time() -%}
    {{ start_of_run() }}
{%- endmacro %}

{% macro start_of_run() -%}
    cast('{{ run_started_at.strftime("%Y-%m-%d %H:%M:%S.%f") }}' as timestamp)
{%- endmacro %}
