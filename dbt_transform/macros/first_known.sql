{# Of two words from a fixed list: the first that says something, else `other`, else `unknown`. #}
{% macro first_known(first, second) -%}
    case
        when coalesce({{ first }}, 'unknown') not in ('unknown', 'other') then {{ first }}
        when coalesce({{ second }}, 'unknown') not in ('unknown', 'other') then {{ second }}
        when 'other' in ({{ first }}, {{ second }}) then 'other'
        else 'unknown'
    end
{%- endmacro %}
