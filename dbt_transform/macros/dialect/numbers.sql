{#
    A whole number as people read it: 1,250,000. By its digits from the last one on, in threes: DuckDB and Snowflake format
    in different words.
#}
{% macro with_thousands(number) -%}
    {%- set digits = "reverse(cast(cast(" ~ number ~ " as bigint) as varchar))" -%}
    reverse(rtrim(
        {%- for group in range(6) %}
        substr({{ digits }}, {{ 3 * group + 1 }}, 3){{ " || ',' ||" if not loop.last }}
        {%- endfor %}, ','))
{%- endmacro %}
