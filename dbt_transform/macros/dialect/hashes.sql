{#
    Hashes that are compared within one statement and never stored: the engines promise none across versions. Both sides
    of a comparison must have the same column types.
#}
{% macro row_hash(columns, relation=none) -%}
    {%- set prefix = relation ~ "." if relation else "" -%}
    hash({{ prefix }}{{ columns | join(", " ~ prefix) }})
{%- endmacro %}


{# One number for a set of rows with different hashes, whatever their order. #}
{% macro set_hash(columns) -%}
    {{ adapter.dispatch('set_hash')(columns) }}
{%- endmacro %}

{% macro default__set_hash(columns) -%}
    bitxor_agg({{ row_hash(columns) }})
{%- endmacro %}

{% macro duckdb__set_hash(columns) -%}
    bit_xor({{ row_hash(columns) }})
{%- endmacro %}


{#
    64 bits of the md5 of a text as a number, the same on both engines: may be summed, stored and compared by a later build.
    DuckDB's own function reads the bytes the other way round.
#}
{% macro md5_number(text) -%}
    {{ adapter.dispatch('md5_number')(text) }}
{%- endmacro %}

{% macro default__md5_number(text) -%}
    md5_number_lower64({{ text }})
{%- endmacro %}

{% macro duckdb__md5_number(text) -%}
    cast('0x' || right(md5({{ text }}), 16) as ubigint)
{%- endmacro %}
