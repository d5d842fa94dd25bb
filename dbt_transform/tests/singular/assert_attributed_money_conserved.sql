{# Each attribution model hands out the amount of every won opportunity: all of it, to the cent, and no more. #}
select
    opportunities.opportunity_id,
    attribution.attribution_model,
    coalesce(opportunities.amount_usd, 0) as amount_usd,
    sum(attribution.attributed_arr_usd) as attributed_arr_usd
from {{ ref("fct_opportunities") }} as opportunities
left join {{ ref("fct_revenue_attribution") }} as attribution
    on opportunities.opportunity_id = attribution.opportunity_id
where opportunities.is_won
group by opportunities.opportunity_id, attribution.attribution_model, opportunities.amount_usd
having coalesce(sum(attribution.attributed_arr_usd), -1) <> coalesce(opportunities.amount_usd, 0)
