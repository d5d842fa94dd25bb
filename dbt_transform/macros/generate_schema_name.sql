{# Schemas are called exactly `analytics` and `analytics_staging`, whoever runs dbt: no prefix of the target's schema. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
