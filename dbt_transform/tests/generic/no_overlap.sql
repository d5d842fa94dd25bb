{#
    Fails on every row that begins before the one before it, of the same `partition_by`, has ended. Spans are half open:
    one may start at the moment in which the other ends. A null end is open, so nothing may follow it.
#}
{% test no_overlap(model, starts, ends, partition_by) %}

select *
from (
    select
        {{ partition_by | join(', ') }},
        {{ starts }} as starts,
        {{ ends }} as ends,
        lead({{ starts }}) over (
            partition by {{ partition_by | join(', ') }} order by {{ starts }}, {{ ends }} nulls last
        ) as next_starts
    from {{ model }}
) as spans
where ends < starts or next_starts < ends or (ends is null and next_starts is not null)

{% endtest %}
