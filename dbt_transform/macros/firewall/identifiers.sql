{#
    One repair: Salesforce's ids in their 18 characters. The first 15 are the id, in upper and lower case that matters; the
    last 3 say which of them are upper case, five bits a letter. Other text stays as it is.
#}
{% macro parse_salesforce_id(column) -%}
    case
        when length({{ column }}) = 15 and {{ matches(column, "[0-9A-Za-z]{15}") }}
            then {{ column }}
            {%- for block in range(3) %}
            || substr('ABCDEFGHIJKLMNOPQRSTUVWXYZ012345', 1
                {%- for bit in range(5) %}
                + case when substr({{ column }}, {{ block * 5 + bit + 1 }}, 1) between 'A' and 'Z' then {{ 2 ** bit }} else 0 end
                {%- endfor %}, 1)
            {%- endfor %}
        else {{ column }}
    end
{%- endmacro %}


{# One repair: HubSpot's numeric ids without the `.0` that spreadsheets and data frames give to a column with gaps. #}
{% macro parse_hubspot_id(column) -%}
    case when {{ column }} like '%.0' then replace({{ column }}, '.0', '') else {{ column }} end
{%- endmacro %}


{# One repair: a list of ids, joined by `;` alone. #}
{% macro parse_hubspot_ids(column) -%}
    nullif(trim({{ replace_pattern(replace_pattern(column, '[][" ' ~ "''" ~ ']', ""), "[;,]+", ";") }}, ';'), '')
{%- endmacro %}
