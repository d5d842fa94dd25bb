{# Whole years, each day of them: a metric over a missing day would look like a day without revenue. #}
select
    min(date_day) as first_day,
    max(date_day) as last_day,
    count(*) as days
from {{ ref("dim_dates") }}
having
    count(*) <> {{ dbt.datediff("min(date_day)", "max(date_day)", "day") }} + 1
    or min(date_day) <> min(year_start)
    or {{ dbt.datediff("max(month_end)", "max(date_day)", "day") }} <> 0
    or extract(month from max(date_day)) <> 12
