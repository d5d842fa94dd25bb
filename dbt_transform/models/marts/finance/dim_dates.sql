{%- set fiscal_start = var("fiscal_year_start_month", 1) | int -%}
{%- if fiscal_start not in range(1, 13) -%}
    {{ exceptions.raise_compiler_error("var fiscal_year_start_month is " ~ fiscal_start ~ "; give a month, 1 to 12") }}
{%- endif -%}

-- 1 January 1900 was a Monday. Counted, since the engines' own week numbers depend on a session's settings.
with weekdays as (
    select
        date_day,
        cast(extract(year from date_day) as integer) as calendar_year,
        cast(extract(month from date_day) as integer) as month_of_year,
        mod({{ dbt.datediff("cast('1900-01-01' as date)", "date_day", "day") }}, 7) + 1 as iso_weekday
    from {{ ref("int_days_listed") }}
),

-- A week belongs to the year that its Thursday is in.
weeks as (
    select
        weekdays.*,
        cast({{ dbt.dateadd("day", "1 - iso_weekday", "date_day") }} as date) as week_start,
        cast({{ dbt.dateadd("day", "4 - iso_weekday", "date_day") }} as date) as thursday
    from weekdays
)

select
    date_day,
    week_start,
    cast({{ dbt.date_trunc("month", "date_day") }} as date) as month_start,
    cast({{ dbt.last_day("date_day", "month") }} as date) as month_end,
    cast({{ dbt.date_trunc("quarter", "date_day") }} as date) as quarter_start,
    cast({{ dbt.date_trunc("year", "date_day") }} as date) as year_start,
    calendar_year,
    month_of_year,
    cast(extract(year from thursday) as integer) as iso_year,
    cast(
        floor({{ dbt.datediff(dbt.date_trunc("year", "thursday"), "thursday", "day") }} / 7) + 1 as integer
    ) as iso_week,
    cast(iso_weekday as integer) as iso_weekday,
    iso_weekday >= 6 as is_weekend,
    {% if fiscal_start == 1 -%}
    calendar_year
    {%- else -%}
    calendar_year + case when month_of_year >= {{ fiscal_start }} then 1 else 0 end
    {%- endif %} as fiscal_year,
    cast(floor(mod(month_of_year - {{ fiscal_start }} + 12, 12) / 3) + 1 as integer) as fiscal_quarter,
    {{ audit_columns() }}
from weeks
