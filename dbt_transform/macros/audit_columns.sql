{# The two columns that every table ends with; checksums leave them out. `dbt_updated_at` is naive UTC. #}
{% macro audit_columns() -%}
    cast('{{ invocation_id }}' as varchar) as dbt_run_id,
    cast('{{ run_started_at.strftime("%Y-%m-%d %H:%M:%S.%f") }}' as timestamp) as dbt_updated_at
{%- endmacro %}
