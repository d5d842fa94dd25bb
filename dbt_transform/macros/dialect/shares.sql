{# floor(whole * parts / total) of whole numbers, exact: a division by way of doubles would lose cents. #}
{% macro whole_share(whole, parts, total) -%}
    {{ adapter.dispatch('whole_share')(whole, parts, total) }}
{%- endmacro %}

{% macro default__whole_share(whole, parts, total) -%}
    (({{ whole }}) * ({{ parts }}) - mod(({{ whole }}) * ({{ parts }}), ({{ total }}))) / ({{ total }})
{%- endmacro %}

{% macro duckdb__whole_share(whole, parts, total) -%}
    cast((cast({{ whole }} as hugeint) * ({{ parts }})) // ({{ total }}) as bigint)
{%- endmacro %}
