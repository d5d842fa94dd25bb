{#
    floor(whole * parts / total) of whole numbers, exact: a division by way of doubles would lose cents. Snowflake divides
    what leaves no remainder exactly, but to a number with six decimals: the cast makes it a whole one again, whose next
    product has room for all its digits.
#}
{% macro whole_share(whole, parts, total) -%}
    {{ adapter.dispatch('whole_share')(whole, parts, total) }}
{%- endmacro %}

{% macro default__whole_share(whole, parts, total) -%}
    cast(round((({{ whole }}) * ({{ parts }}) - mod(({{ whole }}) * ({{ parts }}), ({{ total }}))) / ({{ total }})) as bigint)
{%- endmacro %}

{% macro duckdb__whole_share(whole, parts, total) -%}
    cast((cast({{ whole }} as hugeint) * ({{ parts }})) // ({{ total }}) as bigint)
{%- endmacro %}
