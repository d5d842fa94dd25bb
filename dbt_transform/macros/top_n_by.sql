{# Keep the first n rows of each partition. `order_by` must end in a key, else ties make two runs differ. #}
{% macro top_n_by(partition_by, order_by, n=1) -%}
    qualify row_number() over (partition by {{ partition_by | join(', ') }} order by {{ order_by | join(', ') }}) <= {{ n }}
{%- endmacro %}
