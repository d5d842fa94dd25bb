{# The rows of config/scoring_weights.yml as a union; none of them is an empty table of the same types. #}
{% macro weights_rows(rows, types) -%}
    select
        {%- for column, type in types.items() %}
        cast(null as {{ type }}) as {{ column }}{{ "," if not loop.last }}
        {%- endfor %}
    where 1 = 0
    {%- for row in rows %}
    union all
    select
        {%- for column, type in types.items() %}
        {{ weight_literal(row[column], type) }}{{ "," if not loop.last }}
        {%- endfor %}
    {%- endfor %}
{%- endmacro %}


{# A value of config/scoring_weights.yml as an SQL literal; null stays null. #}
{% macro weight_literal(value, type) -%}
    {%- if value is none -%} cast(null as {{ type }})
    {%- else -%} cast('{{ value | string | replace("'", "''") }}' as {{ type }})
    {%- endif -%}
{%- endmacro %}
