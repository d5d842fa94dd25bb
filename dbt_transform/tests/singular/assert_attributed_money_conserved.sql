{# Each attribution model hands out the amount of every won opportunity: all of it, to the cent, and no more. #}
with models as (
    {{- attribution_model_rows() }}
),

attributed as (
    select
        opportunity_id,
        attribution_model,
        sum(attributed_arr_usd) as attributed_arr_usd
    from {{ ref("fct_revenue_attribution") }}
    group by opportunity_id, attribution_model
),

won as (
    select
        opportunities.opportunity_id,
        models.attribution_model,
        coalesce(opportunities.amount_usd, 0) as amount_usd
    from {{ ref("fct_opportunities") }} as opportunities
    cross join models
    where opportunities.is_won
)

select
    coalesce(won.opportunity_id, attributed.opportunity_id) as opportunity_id,
    coalesce(won.attribution_model, attributed.attribution_model) as attribution_model,
    won.amount_usd,
    attributed.attributed_arr_usd
from won
full outer join attributed
    on won.opportunity_id = attributed.opportunity_id and won.attribution_model = attributed.attribution_model
where
    won.amount_usd is null or attributed.attributed_arr_usd is null or won.amount_usd <> attributed.attributed_arr_usd
