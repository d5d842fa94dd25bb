{# A whole number as people read it: 1,250,000. #}
{% macro with_thousands(number) -%}
    {{ adapter.dispatch('with_thousands')(number) }}
{%- endmacro %}

{% macro default__with_thousands(number) -%}
    trim(to_char({{ number }}, '999,999,999,999,999,999'))
{%- endmacro %}

{% macro duckdb__with_thousands(number) -%}
    format('{:,}', cast({{ number }} as bigint))
{%- endmacro %}
