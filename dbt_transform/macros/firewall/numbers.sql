{#
    One repair: an amount as decimal(18,2), or null. Currency signs, codes and spaces go; (12.50) is negative.

    12500 · 12500.5 · 1.25e4 · $12,500.00 · USD 12500 · 12.500,00 € · 1.250.000 · 12500,5
    A single dot is a decimal point, always: `12.500` is twelve and a half, since machines write amounts that way.
    A single comma before three digits separates thousands, before one or two digits it is a decimal comma.
#}
{% macro parse_amount(column) -%}
    {%- set bare = replace_pattern("upper(" ~ column ~ ")", "(USD|EUR|GBP|[$€£ )])", "") -%}
    {%- set text = "replace(" ~ bare ~ ", '(', '-')" -%}
    {%- set dotted = "([-+]?[0-9]{1,3}([.][0-9]{3})+,[0-9]{1,2}|[-+]?[0-9]{1,3}([.][0-9]{3}){2,}|[-+]?[0-9]+,[0-9]{1,2})" -%}
    case
        when {{ column }} is null then null
        when {{ matches(column, "[-+]?[0-9]+([.][0-9]*)?") }} then try_cast({{ column }} as decimal(18, 2))
        when {{ matches(text, "[-+]?[0-9]+([.][0-9]*)?(E[-+]?[0-9]+)?") }} then try_cast({{ text }} as decimal(18, 2))
        when {{ matches(text, "[-+]?[0-9]{1,3}(,[0-9]{3})+([.][0-9]*)?") }}
            then try_cast(replace({{ text }}, ',', '') as decimal(18, 2))
        when {{ matches(text, dotted) }}
            then try_cast(replace(replace({{ text }}, '.', ''), ',', '.') as decimal(18, 2))
    end
{%- endmacro %}


{# One repair: a count of people or vehicles, 0..2,147,483,647, or null. #}
{% macro parse_count(column) -%}
    case
        when not {{ matches(column, "[-(].*") }}
            then try_cast(cast(round({{ parse_amount(column) }}) as varchar) as integer)
    end
{%- endmacro %}


{# Dollars for one unit of the amount's currency: its code, else the sign within the text, else dollars. #}
{% macro usd_rate(amount_column, code_column) -%}
    case upper(coalesce(
        {{ code_column }},
        case
            when {{ amount_column }} like '%€%' or upper({{ amount_column }}) like '%EUR%' then 'EUR'
            when {{ amount_column }} like '%£%' or upper({{ amount_column }}) like '%GBP%' then 'GBP'
        end,
        'USD'
    ))
        {%- for code, rate in var('usd_exchange_rates', {"USD": 1}).items() %}
        when '{{ code }}' then {{ rate }}
        {%- endfor %}
    end
{%- endmacro %}
