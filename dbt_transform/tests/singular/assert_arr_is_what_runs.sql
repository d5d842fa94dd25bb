{# Counted another way: all accounts' closing is the sum of the spans that run after the month's last day. #}
with days as (
    select
        month_start as month,
        max(date_day) as last_day
    from {{ ref("dim_dates") }}
    where date_day <= {{ as_of_date() }}
    group by month_start
),

running as (
    select
        days.month,
        sum(spans.arr_usd) as running_arr_usd
    from days
    inner join {{ ref("int_arr_spans") }} as spans
        on days.last_day >= spans.started_on and (spans.ended_on is null or days.last_day < spans.ended_on)
    group by days.month
),

closed as (
    select
        month,
        sum(closing_arr_usd) as closing_arr_usd
    from {{ ref("fct_arr_movements") }}
    group by month
)

select
    days.month,
    coalesce(running.running_arr_usd, 0) as running_arr_usd,
    coalesce(closed.closing_arr_usd, 0) as closing_arr_usd
from days
left join running on days.month = running.month
left join closed on days.month = closed.month
where coalesce(running.running_arr_usd, 0) <> coalesce(closed.closing_arr_usd, 0)
