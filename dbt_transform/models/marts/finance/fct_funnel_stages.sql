with visits as (
    select
        stages.*,
        lower(replace(stages.stage_name, ' ', '')) as stage_word,
        lead(stages.stage_name) over (partition by stages.opportunity_id order by stages.stage_number) as next_stage,
        lead(stages.is_lost) over (partition by stages.opportunity_id order by stages.stage_number) as next_is_lost
    from {{ ref("int_opportunity_stages") }} as stages
),

first_visits as (
    select
        opportunity_id,
        stage_word,
        min(stage_number) as first_stage_number
    from visits
    group by opportunity_id, stage_word
)

select
    visits.stage_visit_id,
    visits.opportunity_id,
    opportunities.account_id,
    opportunities.source_system,
    opportunities.opportunity_type,
    opportunities.amount_usd,
    visits.stage_number,
    visits.stage_name,
    visits.entered_at,
    visits.left_at,
    -- Whole hundredths of a day first: half a hundredth has no exact double, so that one engine would round it down.
    cast(
        cast(round({{ dbt.datediff("visits.entered_at", "visits.left_at", "second") }} / 864) as decimal(12, 0))
        * cast(0.01 as decimal(3, 2)) as decimal(12, 2)
    ) as days_in_stage,
    visits.next_stage,
    -- On to a stage where it hasn't been: neither lost nor moved back. Null while there is no next one.
    not visits.next_is_lost and next_visit.first_stage_number > visits.stage_number as is_converted,
    visits.is_current,
    visits.is_lost,
    visits.is_inferred,
    {{ audit_columns() }}
from visits
inner join {{ ref("int_opportunities_unioned") }} as opportunities
    on visits.opportunity_id = opportunities.opportunity_id
left join first_visits as next_visit
    on
        visits.opportunity_id = next_visit.opportunity_id
        and lower(replace(visits.next_stage, ' ', '')) = next_visit.stage_word
