with won as (
    select
        opportunity_id,
        account_id,
        closed_at,
        cast(round(coalesce(amount_usd, 0) * 100) as bigint) as amount_cents
    from {{ ref("fct_opportunities") }}
    where is_won
),

-- Two touches of the same second are ordered by id, so that every run picks the same first and last one.
touches as (
    select
        won.opportunity_id,
        won.account_id,
        won.closed_at,
        won.amount_cents,
        touchpoints.touchpoint_id,
        touchpoints.channel,
        touchpoints.touched_at,
        count(*) over (partition by won.opportunity_id) as touch_count,
        row_number() over (
            partition by won.opportunity_id order by touchpoints.touched_at, touchpoints.touchpoint_id
        ) as touch_number
    from won
    inner join {{ ref("fct_touchpoints") }} as touchpoints
        on won.account_id = touchpoints.account_id and won.closed_at >= touchpoints.touched_at
),

-- Whole cents and twelve decimals of weight each; what is left over goes to the last touch.
shares as (
    select
        touches.*,
        touch_number = touch_count as is_last,
        cast(cast(1 as decimal(18, 12)) / touch_count as decimal(18, 12)) as even_weight,
        (amount_cents - mod(amount_cents, touch_count)) / touch_count as even_cents
    from touches
),

attributed as (
    select
        opportunity_id,
        account_id,
        'first_touch' as attribution_model,
        touchpoint_id,
        channel,
        touched_at,
        closed_at,
        cast(1 as decimal(18, 12)) as attribution_weight,
        amount_cents as attributed_cents
    from shares
    where touch_number = 1
    union all
    select
        opportunity_id,
        account_id,
        'last_touch' as attribution_model,
        touchpoint_id,
        channel,
        touched_at,
        closed_at,
        cast(1 as decimal(18, 12)) as attribution_weight,
        amount_cents as attributed_cents
    from shares
    where is_last
    union all
    select
        opportunity_id,
        account_id,
        'linear' as attribution_model,
        touchpoint_id,
        channel,
        touched_at,
        closed_at,
        case when is_last then 1 - even_weight * (touch_count - 1) else even_weight end as attribution_weight,
        case when is_last then amount_cents - even_cents * (touch_count - 1) else even_cents end as attributed_cents
    from shares
    union all
    select
        won.opportunity_id,
        won.account_id,
        models.attribution_model,
        cast(null as varchar) as touchpoint_id,
        'unattributed' as channel,
        cast(null as timestamp) as touched_at,
        won.closed_at,
        cast(1 as decimal(18, 12)) as attribution_weight,
        won.amount_cents as attributed_cents
    from won
    cross join (
        select 'first_touch' as attribution_model
        union all
        select 'last_touch' as attribution_model
        union all
        select 'linear' as attribution_model
    ) as models
    left join touches on won.opportunity_id = touches.opportunity_id and touches.touch_number = 1
    where touches.opportunity_id is null
)

select
    md5(opportunity_id || '|' || attribution_model || '|' || coalesce(touchpoint_id, '')) as attribution_id,
    opportunity_id,
    account_id,
    attribution_model,
    touchpoint_id,
    channel,
    touched_at,
    closed_at,
    cast(attribution_weight as decimal(18, 12)) as attribution_weight,
    cast(attributed_cents / 100 as decimal(18, 2)) as attributed_arr_usd,
    {{ audit_columns() }}
from attributed
