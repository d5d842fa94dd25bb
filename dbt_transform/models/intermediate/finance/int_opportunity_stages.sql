with opportunities as (
    select
        opportunity_id,
        source_system,
        source_record_id,
        stage_name,
        is_closed,
        is_won,
        closed_at,
        created_at
    from {{ ref("int_opportunities_unioned") }}
),

history as (
    select
        source_system,
        opportunity_id as record_id,
        stage_name,
        cast(null as boolean) as is_lost,
        changed_at as entered_at,
        source_record_id as history_id
    from {{ ref("stg_salesforce__opportunity_history") }}
    where not is_deleted and stage_name is not null and changed_at is not null
    union all
    select
        history.source_system,
        history.deal_id as record_id,
        coalesce(stages.stage_name, history.stage_id) as stage_name,
        stages.is_closed and not stages.is_won as is_lost,
        history.entered_at,
        history.source_record_id as history_id
    from {{ ref("stg_hubspot__deal_stage_history") }} as history
    -- A stage that was deleted since still names what the deal went through.
    left join {{ ref("stg_hubspot__pipeline_stages") }} as stages on history.stage_id = stages.stage_id
    where not history.is_deleted and history.stage_id is not null and history.entered_at is not null
),

-- A record that was merged away stands behind the one that it became.
records as (
    select
        opportunity_id,
        source_system,
        source_record_id as record_id,
        0 as merge_rank
    from opportunities
    union all
    select
        opportunities.opportunity_id,
        opportunities.source_system,
        merged.merged_record_id as record_id,
        1 as merge_rank
    from opportunities
    inner join {{ ref("int_records_merged") }} as merged
        on
            opportunities.source_system = merged.source_system
            and opportunities.source_record_id = merged.surviving_record_id
            and merged.object_type = 'opportunity'
),

recorded as (
    select distinct
        source_system,
        record_id
    from history
),

-- One record's history per opportunity, its own before a merged one's: two told as one would jump back and forth.
record_of_history as (
    select
        records.opportunity_id,
        records.source_system,
        records.record_id
    from records
    inner join recorded
        on records.source_system = recorded.source_system and records.record_id = recorded.record_id
    {{ top_n_by(["records.opportunity_id"], ["records.merge_rank", "records.record_id"]) }}
),

told as (
    select
        record_of_history.opportunity_id,
        history.stage_name,
        history.is_lost,
        history.entered_at,
        history.history_id
    from record_of_history
    inner join history
        on
            record_of_history.source_system = history.source_system
            and record_of_history.record_id = history.record_id
),

last_told as (
    select
        opportunity_id,
        stage_name,
        entered_at
    from told
    {{ top_n_by(["opportunity_id"], ["entered_at desc", "history_id desc"]) }}
),

-- What the record itself says and its history doesn't: no history at all, or a last change that isn't in it.
untold as (
    select
        opportunities.opportunity_id,
        coalesce(opportunities.stage_name, 'unknown') as stage_name,
        cast(null as boolean) as is_lost,
        case
            when last_told.opportunity_id is null
                then case
                    when opportunities.is_closed then coalesce(opportunities.closed_at, opportunities.created_at)
                    else opportunities.created_at
                end
            when opportunities.closed_at > last_told.entered_at then opportunities.closed_at
            else last_told.entered_at
        end as entered_at,
        cast(null as varchar) as history_id
    from opportunities
    left join last_told on opportunities.opportunity_id = last_told.opportunity_id
    where
        last_told.opportunity_id is null
        or lower(replace(opportunities.stage_name, ' ', '')) <> lower(replace(last_told.stage_name, ' ', ''))
),

-- Histories record every change of a record: a row that repeats the stage before it is no visit of its own.
entries as (
    select
        entered.*,
        lag(lower(replace(stage_name, ' ', ''))) over (
            partition by opportunity_id order by is_inferred, entered_at, history_id
        ) as stage_before
    from (
        select
            told.*,
            0 as is_inferred
        from told
        union all
        select
            untold.*,
            1 as is_inferred
        from untold
    ) as entered
),

visits as (
    select
        opportunity_id,
        stage_name,
        is_lost,
        entered_at,
        is_inferred = 1 as is_inferred,
        row_number() over (
            partition by opportunity_id order by is_inferred, entered_at, history_id
        ) as stage_number,
        count(*) over (partition by opportunity_id) as stage_count
    from entries
    where stage_before is null or stage_before <> lower(replace(stage_name, ' ', ''))
)

select
    visits.opportunity_id || ':' || cast(visits.stage_number as varchar) as stage_visit_id,
    visits.opportunity_id,
    cast(visits.stage_number as integer) as stage_number,
    visits.stage_name,
    visits.entered_at,
    lead(visits.entered_at) over (
        partition by visits.opportunity_id order by visits.stage_number
    ) as left_at,
    visits.stage_number = visits.stage_count as is_current,
    case
        when visits.stage_number = visits.stage_count then opportunities.is_closed and not opportunities.is_won
        else coalesce(visits.is_lost, {{ is_lost_stage("visits.stage_name") }})
    end as is_lost,
    visits.is_inferred,
    {{ audit_columns() }}
from visits
inner join opportunities on visits.opportunity_id = opportunities.opportunity_id
