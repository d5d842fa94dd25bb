with months as (
    select distinct month_start as month
    from {{ ref("dim_dates") }}
    where date_day <= {{ as_of_date() }}
),

-- What began before the calendar counts from its first month on.
first_month as (
    select min(month) as month from months
),

spans as (
    select
        account_id,
        is_matched,
        arr_source,
        arr_usd,
        started_on,
        ended_on
    from {{ ref("int_arr_spans") }}
    where started_on <= {{ as_of_date() }} and (ended_on is null or started_on < ended_on)
),

changes as (
    select
        account_id,
        is_matched,
        arr_source,
        started_on as changed_on,
        arr_usd as change_usd
    from spans
    union all
    select
        account_id,
        is_matched,
        arr_source,
        ended_on as changed_on,
        -arr_usd as change_usd
    from spans
    where ended_on <= {{ as_of_date() }}
),

-- An upgrade ends one subscription and starts the next: within a month only their difference moves.
monthly as (
    select
        changes.account_id,
        changes.is_matched,
        changes.arr_source,
        greatest(cast({{ dbt.date_trunc("month", "changes.changed_on") }} as date), first_month.month) as month,
        sum(changes.change_usd) as change_usd
    from changes
    cross join first_month
    group by
        changes.account_id,
        changes.is_matched,
        changes.arr_source,
        greatest(cast({{ dbt.date_trunc("month", "changes.changed_on") }} as date), first_month.month)
),

account_months as (
    select
        accounts.account_id,
        accounts.is_matched,
        accounts.arr_source,
        months.month
    from (
        select
            account_id,
            is_matched,
            arr_source,
            min(month) as first_month
        from monthly
        group by account_id, is_matched, arr_source
    ) as accounts
    inner join months on accounts.first_month <= months.month
),

closings as (
    select
        account_months.account_id,
        account_months.is_matched,
        account_months.arr_source,
        account_months.month,
        sum(coalesce(monthly.change_usd, 0)) over (
            partition by account_months.account_id
            order by account_months.month
            rows between unbounded preceding and current row
        ) as closing_usd
    from account_months
    left join monthly
        on account_months.account_id = monthly.account_id and account_months.month = monthly.month
),

openings as (
    select
        closings.*,
        coalesce(lag(closing_usd) over (partition by account_id order by month), 0) as opening_usd,
        coalesce(
            max(closing_usd) over (
                partition by account_id
                order by month
                rows between unbounded preceding and 1 preceding
            ),
            0
        ) > 0 as had_arr
    from closings
)

select
    account_id,
    month,
    is_matched,
    arr_source,
    cast(opening_usd as decimal(18, 2)) as opening_arr_usd,
    cast(case when opening_usd = 0 and not had_arr then closing_usd else 0 end as decimal(18, 2)) as new_arr_usd,
    cast(
        case when opening_usd > 0 and closing_usd > opening_usd then closing_usd - opening_usd else 0 end
        as decimal(18, 2)
    ) as expansion_arr_usd,
    cast(
        case when closing_usd > 0 and closing_usd < opening_usd then closing_usd - opening_usd else 0 end
        as decimal(18, 2)
    ) as contraction_arr_usd,
    cast(case when opening_usd > 0 and closing_usd = 0 then -opening_usd else 0 end as decimal(18, 2))
        as churned_arr_usd,
    cast(case when opening_usd = 0 and had_arr then closing_usd else 0 end as decimal(18, 2)) as reactivated_arr_usd,
    cast(closing_usd as decimal(18, 2)) as closing_arr_usd,
    {{ audit_columns() }}
from openings
where opening_usd <> 0 or closing_usd <> 0
