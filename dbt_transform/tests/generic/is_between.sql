{# Fails on every row outside low..high, both inclusive. #}
{% test is_between(model, column_name, low, high) %}

select * from {{ model }}
where {{ column_name }} < {{ low }} or {{ column_name }} > {{ high }}

{% endtest %}
