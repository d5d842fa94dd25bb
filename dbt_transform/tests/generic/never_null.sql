{# Fails on every row where one of the columns is null, and names those that are. One test a model: nodes cost time. #}
{% test never_null(model, columns) %}

select
    trim(
        {%- for column in columns %}
        case when {{ column }} is null then ' {{ column }}' else '' end{{ " ||" if not loop.last }}
        {%- endfor %}
    ) as null_columns,
    checked.*
from {{ model }} as checked
where
    {%- for column in columns %}
    {{ column }} is null{{ " or" if not loop.last }}
    {%- endfor %}

{% endtest %}
