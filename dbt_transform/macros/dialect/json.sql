{# JSON text of the named columns, nulls kept; `prefix` stands before their names in SQL and not in the JSON. #}
{% macro json_row(columns, prefix="") -%}
    {{ adapter.dispatch('json_row')(columns, prefix) }}
{%- endmacro %}

{% macro default__json_row(columns, prefix) -%}
    to_json(object_construct_keep_null(
        {%- for column in columns %}'{{ column }}', {{ prefix }}{{ column }}{{ ', ' if not loop.last }}{% endfor -%}
    ))
{%- endmacro %}

{% macro duckdb__json_row(columns, prefix) -%}
    cast(json_object(
        {%- for column in columns %}'{{ column }}', {{ prefix }}{{ column }}{{ ', ' if not loop.last }}{% endfor -%}
    ) as varchar)
{%- endmacro %}


{# The text under a key of a JSON text; `key` is an SQL expression. #}
{% macro json_text(json, key) -%}
    {{ adapter.dispatch('json_text')(json, key) }}
{%- endmacro %}

{% macro default__json_text(json, key) -%}
    cast(get(parse_json({{ json }}), {{ key }}) as varchar)
{%- endmacro %}

{% macro duckdb__json_text(json, key) -%}
    json_extract_string({{ json }}, '$."' || {{ key }} || '"')
{%- endmacro %}
