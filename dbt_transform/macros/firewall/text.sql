{#
    One repair: white space of every kind becomes single spaces, ends are trimmed, placeholders for "nothing" become null.

    Text without spaces that holds a digit or is longer than any placeholder needs none of that: most of a large table.
#}
{% macro clean_text(column) -%}
    {%- set trimmed = "trim(" ~ replace_pattern("replace(" ~ column ~ ", chr(160), ' ')", "[[:space:]]+", " ") ~ ")" -%}
    case
        when {{ matches(column, "([!-~]*[0-9][!-~]*|[!-~]{10,})") }} then {{ column }}
        when lower({{ trimmed }}) in ('', 'null', 'none', 'nil', 'nan', 'n/a', '#n/a', 'na', '-', '--', 'undefined')
            then null
        else {{ trimmed }}
    end
{%- endmacro %}


{# One repair: HTML entities of names and titles. `&amp;` comes last, so that `&amp;lt;` is decoded once and not twice. #}
{% macro decode_entities(column) -%}
    {%- set entities = [
        ("&quot;", '"'), ("&#34;", '"'), ("&#39;", "''"), ("&#x27;", "''"), ("&apos;", "''"),
        ("&lt;", "<"), ("&gt;", ">"), ("&nbsp;", " "), ("&#38;", "&"), ("&amp;", "&"),
    ] -%}
    {%- set decoded = namespace(sql=column) -%}
    {%- for entity, character in entities -%}
        {%- set decoded.sql = "replace(" ~ decoded.sql ~ ", '" ~ entity ~ "', '" ~ character ~ "')" -%}
    {%- endfor -%}
    case when {{ column }} like '%&%' then {{ decoded.sql }} else {{ column }} end
{%- endmacro %}


{# One repair: an email address in lower case, or null. A broken address is no reason to lose the contact. #}
{% macro parse_email(column) -%}
    case
        when {{ matches("lower(replace(" ~ column ~ ", 'mailto:', ''))", "[^@ ]+@[^@ ]+[.][^@ .]+") }}
            then lower(replace({{ column }}, 'mailto:', ''))
    end
{%- endmacro %}


{# One repair: true and false in the ways that exports write them. #}
{% macro parse_boolean(column) -%}
    case
        when lower({{ column }}) in ('true', 't', 'yes', 'y', 'on', '1', '1.0', 'x') then true
        when lower({{ column }}) in ('false', 'f', 'no', 'n', 'off', '0', '0.0') then false
    end
{%- endmacro %}
