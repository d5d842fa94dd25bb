{#
    Fails on every row dated after the build started: what hasn't happened yet can't be counted. A day's grace, since a
    close that is known by its day alone counts at that day's end and a source's clock may run ahead.
#}
{% test in_past(model, column_name, grace_hours=24) %}

select * from {{ model }}
where
    {{ column_name }}
    > {{ dbt.dateadd("hour", grace_hours, "cast('" ~ run_started_at.strftime("%Y-%m-%d %H:%M:%S") ~ "' as timestamp)") }}

{% endtest %}
