{#
    What Snowflake's query history keeps of each statement: for which job and node it ran, the text as
    shared/warehouse/query_tag.py writes it. One statement a node, which wakes no warehouse; dbt's own way takes four. It is
    not unset: every node begins with its own. DuckDB's adapter never asks.
#}
{% macro snowflake__set_query_tag() -%}
    {%- set job_id = dbt_metadata_envs.get("GTM_JOB_ID") -%}
    {%- set facts = {"app": "fleet_gtm"} -%}
    {%- if job_id is not none -%}{%- do facts.update({"job_id": job_id, "kind": "build"}) -%}{%- endif -%}
    {%- do facts.update({"model": model["name"]}) -%}
    {%- do run_query("alter session set query_tag = '" ~ tojson(facts) | replace("'", "''") ~ "'") -%}
    {{ return(none) }}
{%- endmacro %}

{% macro snowflake__unset_query_tag(original_query_tag) -%}
{%- endmacro %}
