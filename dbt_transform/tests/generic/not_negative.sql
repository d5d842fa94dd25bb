{# Fails on every row whose amount is below zero: negative ARR is a typing error or a refund, never a deal. #}
{% test not_negative(model, column_name) %}

select * from {{ model }}
where {{ column_name }} < 0

{% endtest %}
