{# The name of a number's bucket: `none`, `<5`, `<20` ... `20+`. Numbers that move within a bucket change no hash. #}
{% macro bucket(column, edges) -%}
    case
        when {{ column }} is null then 'none'
        {%- for edge in edges %}
        when {{ column }} < {{ edge }} then '<{{ edge }}'
        {%- endfor %}
        else '{{ edges | last }}+'
    end
{%- endmacro %}
