{#
    A RAW table as it was when the build began, whatever lands meanwhile. On DuckDB nothing lands while dbt runs; on
    Snowflake the service says the moment (shared/warehouse/snowflake.py), as what follows a table's name. By hand, without
    one: as it is.
    It comes by dbt_metadata_envs, which dbt does not take for a reason to parse every model anew.
#}
{% macro landed_table(name) -%}
    {{ source("raw", name) }}{{ dbt_metadata_envs.get("GTM_RAW_AT", "") }}
{%- endmacro %}
