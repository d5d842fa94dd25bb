{# The last day of every window, a date literal. #}
{% macro as_of_date() -%}
    cast('{{ var("as_of_date", none) or run_started_at.strftime("%Y-%m-%d") }}' as date)
{%- endmacro %}
