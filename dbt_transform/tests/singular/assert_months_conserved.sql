{#
    For each month of the close and each model: the channels' money is the ARR won, to the cent, and their shares add up to
    the opportunities won. A close without a date is a month of its own.
#}
with models as (
    {{- attribution_model_rows() }}
),

won as (
    select
        coalesce(cast(date_trunc('month', closed_at) as date), cast('0001-01-01' as date)) as month,
        count(*) as opportunities,
        sum(coalesce(amount_usd, 0)) as arr_usd
    from {{ ref("fct_opportunities") }}
    where is_won
    group by coalesce(cast(date_trunc('month', closed_at) as date), cast('0001-01-01' as date))
),

expected as (
    select
        won.*,
        models.attribution_model
    from won
    cross join models
),

shared_out as (
    select
        coalesce(month, cast('0001-01-01' as date)) as month,
        attribution_model,
        sum(attributed_opportunities) as opportunities,
        sum(attributed_arr_usd) as arr_usd
    from {{ ref("fct_channel_performance") }}
    group by coalesce(month, cast('0001-01-01' as date)), attribution_model
)

select
    coalesce(expected.month, shared_out.month) as month,
    coalesce(expected.attribution_model, shared_out.attribution_model) as attribution_model,
    expected.arr_usd as won_arr_usd,
    shared_out.arr_usd as attributed_arr_usd,
    expected.opportunities as won_opportunities,
    shared_out.opportunities as attributed_opportunities
from expected
full outer join shared_out
    on expected.month = shared_out.month and expected.attribution_model = shared_out.attribution_model
where
    coalesce(expected.arr_usd, 0) <> coalesce(shared_out.arr_usd, 0)
    or coalesce(expected.opportunities, 0) <> coalesce(shared_out.opportunities, 0)
