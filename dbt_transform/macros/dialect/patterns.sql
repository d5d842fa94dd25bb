{# True where the whole text matches the POSIX pattern (character classes, no backslashes, no lookaround). #}
{% macro matches(text, pattern) -%}
    {{ adapter.dispatch('matches')(text, pattern) }}
{%- endmacro %}

{% macro default__matches(text, pattern) -%}
    regexp_like({{ text }}, '{{ pattern }}')
{%- endmacro %}

{% macro duckdb__matches(text, pattern) -%}
    regexp_full_match({{ text }}, '{{ pattern }}')
{%- endmacro %}


{# The nth parenthesis of the pattern, null where it took part in no match. #}
{% macro matched_group(text, pattern, group) -%}
    {{ adapter.dispatch('matched_group')(text, pattern, group) }}
{%- endmacro %}

{% macro default__matched_group(text, pattern, group) -%}
    nullif(regexp_substr({{ text }}, '^{{ pattern }}$', 1, 1, 'e', {{ group }}), '')
{%- endmacro %}

{% macro duckdb__matched_group(text, pattern, group) -%}
    nullif(regexp_extract({{ text }}, '^{{ pattern }}$', {{ group }}), '')
{%- endmacro %}


{# Every occurrence of the pattern replaced; \1 .. \9 are its parentheses. #}
{% macro replace_pattern(text, pattern, replacement) -%}
    {{ adapter.dispatch('replace_pattern')(text, pattern, replacement) }}
{%- endmacro %}

{% macro default__replace_pattern(text, pattern, replacement) -%}
    regexp_replace({{ text }}, '{{ pattern }}', '{{ replacement | replace("\\", "\\\\") }}')
{%- endmacro %}

{% macro duckdb__replace_pattern(text, pattern, replacement) -%}
    regexp_replace({{ text }}, '{{ pattern }}', '{{ replacement }}', 'g')
{%- endmacro %}
