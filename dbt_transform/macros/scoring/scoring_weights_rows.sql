{# A value of config/scoring_weights.yml as an SQL literal; null stays null. #}
{% macro weight_literal(value, type) -%}
    {%- if value is none -%} cast(null as {{ type }})
    {%- else -%} cast('{{ value | string | replace("'", "''") }}' as {{ type }})
    {%- endif -%}
{%- endmacro %}
