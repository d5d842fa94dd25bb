{#
    The three columns that every table ends with; checksums leave them out. `dbt_updated_at` is naive UTC.
    The job comes from DBT_ENV_CUSTOM_ENV_GTM_JOB_ID: a variable that differs at each run would make dbt parse anew.
#}
{% macro audit_columns() -%}
    {%- set job_id = dbt_metadata_envs.get("GTM_JOB_ID") -%}
    {% if job_id is none %}cast(null as varchar){% else %}cast('{{ job_id }}' as varchar){% endif %} as job_id,
    cast('{{ invocation_id }}' as varchar) as dbt_run_id,
    cast('{{ run_started_at.strftime("%Y-%m-%d %H:%M:%S.%f") }}' as timestamp) as dbt_updated_at
{%- endmacro %}
