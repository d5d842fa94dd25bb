{#
    The grain: fails on every combination of the columns that occurs more than once. Nulls count as equal, since the parts of
    a key may be missing; a key of one column may not.
#}
{% test one_row_per(model, columns) %}

select
    {{ columns | join(', ') }},
    count(*) as occurrences
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1 {%- if columns | length == 1 %} or {{ columns[0] }} is null{% endif %}

{% endtest %}
