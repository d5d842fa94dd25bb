{#- A typing error of the year 1900 or 9999 must not make a calendar of three million days. -#}
{%- set first_possible_day = "cast('2000-01-01' as date)" -%}
{%- set last_possible_day = dbt.dateadd("year", 10, as_of_date()) -%}

with dated as (
    select
        cast(created_at as date) as first_date,
        close_date as last_date
    from {{ ref("int_opportunities_unioned") }}
    union all
    select
        close_date as first_date,
        close_date as last_date
    from {{ ref("int_opportunities_unioned") }}
    union all
    select
        started_on as first_date,
        coalesce(ended_on, started_on) as last_date
    from {{ ref("int_arr_spans") }}
    union all
    -- Visits begin before the first deal; without any data the calendar is these years.
    select
        cast({{ dbt.dateadd("year", -2, as_of_date()) }} as date) as first_date,
        {{ as_of_date() }} as last_date
),

bounds as (
    select
        cast({{ dbt.date_trunc("year", "min(first_date)") }} as date) as first_day,
        cast({{ dbt.last_day("max(last_date)", "year") }} as date) as last_day
    from (
        select
            case when first_date >= {{ first_possible_day }} then first_date end as first_date,
            case when last_date <= {{ last_possible_day }} then last_date end as last_date
        from dated
    ) as possible
),

digits as (
    {%- for digit in range(10) %}
    select {{ digit }} as digit
    {{ "union all" if not loop.last }}
    {%- endfor %}
),

numbers as (
    select
        ones.digit + 10 * tens.digit + 100 * hundreds.digit + 1000 * thousands.digit + 10000 * ten_thousands.digit
            as day_number
    from digits as ones
    cross join digits as tens
    cross join digits as hundreds
    cross join digits as thousands
    cross join digits as ten_thousands
)

select
    cast({{ dbt.dateadd("day", "numbers.day_number", "bounds.first_day") }} as date) as date_day,
    {{ audit_columns() }}
from bounds
inner join numbers on {{ dbt.datediff("bounds.first_day", "bounds.last_day", "day") }} >= numbers.day_number
