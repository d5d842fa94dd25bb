with models as (
    {{- attribution_model_rows() }}
),

touched_accounts as (
    select
        cast(date_trunc('month', touched_at) as date) as month,
        channel,
        account_id,
        count(*) as touches
    from {{ ref("int_touchpoints") }}
    -- A page of the same site goes on with a visit that has been counted.
    where channel <> 'internal'
    group by cast(date_trunc('month', touched_at) as date), channel, account_id
),

touched as (
    select
        touched_accounts.month,
        touched_accounts.channel,
        models.attribution_model,
        sum(touched_accounts.touches) as touches,
        count(*) as engaged_accounts
    from touched_accounts
    cross join models
    group by touched_accounts.month, touched_accounts.channel, models.attribution_model
),

earned as (
    select
        cast(date_trunc('month', closed_at) as date) as month,
        channel,
        attribution_model,
        count(distinct opportunity_id) as opportunities,
        sum(attribution_weight) as attributed_opportunities,
        sum(attributed_arr_usd) as attributed_arr_usd
    from {{ ref("fct_revenue_attribution") }}
    group by cast(date_trunc('month', closed_at) as date), channel, attribution_model
),

combined as (
    select
        month,
        channel,
        attribution_model,
        touches,
        engaged_accounts,
        0 as opportunities,
        cast(0 as decimal(18, 12)) as attributed_opportunities,
        cast(0 as decimal(18, 2)) as attributed_arr_usd
    from touched
    union all
    select
        month,
        channel,
        attribution_model,
        0 as touches,
        0 as engaged_accounts,
        opportunities,
        attributed_opportunities,
        attributed_arr_usd
    from earned
)

select
    md5(coalesce({{ date_text("month") }}, '') || '|' || channel || '|' || attribution_model) as channel_performance_id,
    month,
    channel,
    attribution_model,
    cast(sum(touches) as bigint) as touches,
    cast(sum(engaged_accounts) as bigint) as engaged_accounts,
    cast(sum(opportunities) as bigint) as opportunities,
    cast(sum(attributed_opportunities) as decimal(28, 12)) as attributed_opportunities,
    cast(sum(attributed_arr_usd) as decimal(18, 2)) as attributed_arr_usd,
    {{ audit_columns() }}
from combined
group by month, channel, attribution_model
