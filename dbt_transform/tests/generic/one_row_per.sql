{# The grain: fails on every combination of the columns that occurs more than once. Nulls count as equal. #}
{% test one_row_per(model, columns) %}

select
    {{ columns | join(', ') }},
    count(*) as occurrences
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1

{% endtest %}
