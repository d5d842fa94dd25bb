{# A month opens with what the last one closed with: no account's revenue ends without a movement that says so. #}
with movements as (
    select
        account_id,
        month,
        opening_arr_usd,
        closing_arr_usd,
        cast({{ dbt.dateadd("month", 1, "month") }} as date) as next_month
    from {{ ref("fct_arr_movements") }}
)

select
    coalesce(opened.account_id, closed.account_id) as account_id,
    coalesce(opened.month, closed.next_month) as month,
    coalesce(closed.closing_arr_usd, 0) as closing_before_usd,
    coalesce(opened.opening_arr_usd, 0) as opening_arr_usd
from movements as opened
full outer join movements as closed on opened.account_id = closed.account_id and opened.month = closed.next_month
where
    coalesce(closed.closing_arr_usd, 0) <> coalesce(opened.opening_arr_usd, 0)
    and coalesce(opened.month, closed.next_month) <= {{ as_of_date() }}
