{#
    Fails on every group whose column doesn't sum to exactly `total`, a number or an expression that is constant within
    the group. Decimals only: a float never sums exactly.
#}
{% test sums_to(model, column_name, group_by, total=1) %}

select
    {{ group_by | join(', ') }},
    sum({{ column_name }}) as actual_total
from {{ model }}
group by {{ group_by | join(', ') }}
having sum({{ column_name }}) <> {{ total }}

{% endtest %}
