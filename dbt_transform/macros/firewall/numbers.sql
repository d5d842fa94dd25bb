{#
    One repair: an amount as decimal(18,2) below a hundred trillion, or null. Currency signs, codes and spaces go;
    (12.50) is negative.

    12500 · 12500.5 · 1.25e4 · $12,500.00 · USD 12500 · CA$12,500 · 12.500,00 € · 1.250.000 · 12500,5 · 12'500.00
    A single dot is a decimal point, always: `12.500` is twelve and a half, since machines write amounts that way.
    A single comma before three digits separates thousands, before one or two digits it is a decimal comma.
#}
{% macro parse_amount(column) -%}
    {%- set ahead = replace_pattern("upper(" ~ column ~ ")", "^([-+(]?) *([A-Z]{3}|[A-Z]{0,2}[$]|[€£¥₹]) *", "\\1") -%}
    {%- set behind = replace_pattern(ahead, " *([A-Z]{3}|[$€£¥₹])([)]?)$", "") -%}
    {%- set text = "replace(" ~ replace_pattern(behind, "[ )’" ~ "''" ~ "]", "") ~ ", '(', '-')" -%}
    {%- set dotted = "([-+]?[0-9]{1,3}([.][0-9]{3})+,[0-9]{1,2}|[-+]?[0-9]{1,3}([.][0-9]{3}){2,}|[-+]?[0-9]+,[0-9]{1,2})" -%}
    cast(case
        when {{ column }} is null then null
        when {{ matches(column, "[-+]?[0-9]+([.][0-9]*)?") }} then try_cast({{ column }} as decimal(16, 2))
        when {{ matches(text, "[-+]?[0-9]+([.][0-9]*)?(E[-+]?[0-9]+)?") }} then try_cast({{ text }} as decimal(16, 2))
        when {{ matches(text, "[-+]?[0-9]{1,3}(,[0-9]{3})+([.][0-9]*)?") }}
            then try_cast(replace({{ text }}, ',', '') as decimal(16, 2))
        when {{ matches(text, dotted) }}
            then try_cast(replace(replace({{ text }}, '.', ''), ',', '.') as decimal(16, 2))
    end as decimal(18, 2))
{%- endmacro %}


{# One repair: a count of people, vehicles or seats, 0..2,147,483,647, or null. #}
{% macro parse_count(column) -%}
    case
        when not {{ matches(column, "[-(].*") }}
            then try_cast(cast(round({{ parse_amount(column) }}) as varchar) as integer)
    end
{%- endmacro %}


{#
    One repair: the ISO code of an amount's currency: that of its own column, else the code or sign within the amount's
    text, else US dollars. A code that we can't read stays as it is, and so do the letters before a dollar sign that isn't
    known (`T$`): they have no rate, and the row is quarantined.
#}
{% macro currency_of(amount_column, code_column=none) -%}
    {%- set text = "upper(" ~ amount_column ~ ")" -%}
    {%- set ahead = matched_group(text, "[-+(]? *([A-Z]{3})[^A-Z].*", 1) -%}
    {%- set behind = matched_group(text, ".*[^A-Z]([A-Z]{3})[)]?", 1) -%}
    {%- set dollars = matched_group(text, "[-+(]? *([A-Z]{1,2}[$]).*", 1) -%}
    case
        {%- if code_column %}
        when {{ code_column }} is not null then upper({{ code_column }})
        {%- endif %}
        when {{ matches(amount_column, "[-+]?[0-9.]+") }} then 'USD'
        when {{ ahead }} is not null or {{ behind }} is not null then concat(coalesce({{ ahead }}, ''), coalesce({{ behind }}, ''))
        when {{ dollars }} is not null then case {{ dollars }}
            {%- for sign, code in [
                ("US$", "USD"), ("CA$", "CAD"), ("C$", "CAD"), ("AU$", "AUD"), ("A$", "AUD"), ("NZ$", "NZD"), ("HK$", "HKD"),
                ("SG$", "SGD"), ("S$", "SGD"), ("NT$", "TWD"), ("MX$", "MXN"), ("BR$", "BRL"), ("R$", "BRL"),
            ] %}
            when '{{ sign }}' then '{{ code }}'
            {%- endfor %}
            else {{ dollars }}
        end
        {%- for sign, code in [("€", "EUR"), ("£", "GBP"), ("¥", "JPY"), ("₹", "INR")] %}
        when {{ text }} like '%{{ sign }}%' then '{{ code }}'
        {%- endfor %}
        when {{ amount_column }} is not null then 'USD'
    end
{%- endmacro %}


{# Dollars for one unit of a currency; null for one without a rate. #}
{% macro usd_rate(currency) -%}
    case {{ currency }}
        {%- for code, rate in var('usd_exchange_rates', {"USD": 1}).items() %}
        when '{{ code | upper }}' then cast('{{ rate }}' as decimal(18, 8))
        {%- endfor %}
    end
{%- endmacro %}


{# A share (0.6) or a percentage (60) as percent: pipelines hold shares, exports of them both. #}
{% macro percent_of_share(column) -%}
    cast(case when {{ column }}_typed <= 1 then {{ column }}_typed * 100 else {{ column }}_typed end as decimal(18, 2))
{%- endmacro %}
