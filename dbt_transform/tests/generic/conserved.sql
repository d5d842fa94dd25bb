{#
    Nothing lost and nothing doubled on the way: fails on every group whose sum of `column_name` isn't the sum of
    `of_column` in `of`. Groups are the expressions of `by` (a name: an expression on this model, or [one on this model,
    one on `of`]). `for_each` {column, values}: this model holds `of` once per value, so each is compared by itself.
    Decimals only: a float never sums exactly.
#}
{% test conserved(model, column_name, of, of_column, by={}, for_each=none, where_this="true", of_where="true") %}

{%- set keys = (["copy"] if for_each else []) + by.keys() | list %}
{%- set key_list = keys | join(", ") %}

select
    {{ key_list ~ "," if keys }}
    sum(actual) as actual_total,
    sum(expected) as expected_total
from (
    select
        {% if for_each %}{{ for_each["column"] }} as copy,{% endif %}
        {% for name, columns in by.items() %}
        {{ columns if columns is string else columns[0] }} as {{ name }},
        {% endfor %}
        coalesce({{ column_name }}, 0) as actual,
        0 as expected
    from {{ model }}
    where {{ where_this }}
    {% for copy in (for_each["values"] if for_each else [none]) %}
    union all
    select
        {% if for_each %}'{{ copy }}' as copy,{% endif %}
        {% for name, columns in by.items() %}
        {{ columns if columns is string else columns[1] }} as {{ name }},
        {% endfor %}
        0 as actual,
        coalesce({{ of_column }}, 0) as expected
    from {{ of }}
    where {{ of_where }}
    {% endfor %}
) as both_sides
{{ "group by " ~ key_list if keys }}
having sum(actual) <> sum(expected)

{% endtest %}
