{%- set channels = marketing_channels().split(",") -%}

with transitions as (
    select
        close_month,
        coalesce(channel_before, 'start') as origin,
        channel as target,
        count(*) as steps
    from {{ ref("int_touches_counted") }}
    where channel_before is null or channel_before <> channel
    group by close_month, coalesce(channel_before, 'start'), channel
    union all
    select
        close_month,
        channel as origin,
        case when is_won then 'won' else 'lost' end as target,
        count(*) as steps
    from {{ ref("int_touches_counted") }}
    where touch_number = touches
    group by close_month, channel, case when is_won then 'won' else 'lost' end
),

close_months as (
    select distinct close_month from transitions
),

-- A month's weights learn from all paths that were closed up to its end.
trained as (
    select
        close_months.close_month
        {{- markov_counts(channels) | indent(4) }}
    from close_months
    inner join transitions on close_months.close_month >= transitions.close_month
    group by close_months.close_month
),

scenarios as (
    select 'none' as removed
    {%- for channel in channels %}
    union all
    select '{{ channel }}' as removed
    {%- endfor %}
),

removals as (
    select
        trained.close_month,
        scenarios.removed
        {{- markov_removals(channels) | indent(4) }}
    from trained
    cross join scenarios
),

{{ markov_eliminations(channels, "removals", ["close_month", "removed"]) }},

conversions as (
    select
        close_month,
        removed,
        coalesce(start_to_won / nullif(start_to_won + start_to_lost, 0), 0) as conversion_rate
    from eliminated_{{ channels | length }}
),

-- Thousandths: the paths' own sampling error is larger, and a closed month isn't restated for less. Whole parts from
-- here on, since a sum of doubles depends on their order.
effects as (
    select
        removals.close_month,
        removals.removed as channel,
        1000000000 * cast(round(
            1000 * coalesce(1 - removals.conversion_rate / nullif(everything.conversion_rate, 0), 0)
        ) as bigint) as effect_parts
    from conversions as removals
    inner join conversions as everything
        on removals.close_month = everything.close_month and everything.removed = 'none'
    where removals.removed <> 'none'
),

summed as (
    select
        effects.*,
        sum(effect_parts) over (
            partition by close_month order by channel rows between unbounded preceding and current row
        ) as parts_so_far,
        sum(effect_parts) over (partition by close_month) as all_parts
    from effects
)

select
    close_month,
    channel,
    {{ units_to_weight("effect_parts") }} as removal_effect,
    case
        when all_parts = 0 then cast(0 as decimal(18, 12))
        else {{ units_to_weight(running_share(weight_units(), "effect_parts", "parts_so_far", "all_parts")) }}
    end as channel_weight,
    {{ audit_columns() }}
from summed
