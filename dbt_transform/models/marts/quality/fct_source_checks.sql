{#- Moments of a build as of a past day are compared with the end of that day. -#}
{%- set started_at = "cast('" ~ run_started_at.strftime("%Y-%m-%d %H:%M:%S") ~ "' as timestamp)" -%}
{%- set end_of_day = dbt.dateadd("day", 1, "cast(" ~ as_of_date() ~ " as timestamp)") -%}
{%- set warn_share = var("quarantine_warn_share", 0.1) -%}
{%- set fail_share = var("quarantine_fail_share", 0.5) -%}
{%- set min_share = var("volume_min_share", 0.5) -%}
{%- set max_age_hours = var("source_max_age_hours", 72) -%}

with ordered as (
    select
        fct_loads.*,
        row_number() over (partition by source_table order by loaded_at desc, load_id desc) as loads_ago,
        row_number() over (
            partition by source_table, live_rows_now >= {{ var("quarantine_min_rows", 20) }}
            order by loaded_at desc, load_id desc
        ) as loads_like_it_ago
    from {{ ref("fct_loads") }} as fct_loads
),

loads as (
    {#- Of the source that a table is loaded from now: one that another took over from is neither stale nor small. #}
    select
        ordered.*,
        sum(case when ordered.is_complete and ordered.is_baseline then 1 else 0 end) over (
            partition by ordered.source_table
            order by ordered.loaded_at, ordered.load_id
            rows between unbounded preceding and current row
        ) as baseline
    from ordered
    inner join ordered as newest
        on
            ordered.source_table = newest.source_table
            and ordered.source = newest.source
            and newest.loads_ago = 1
),

quarantine as (
    select
        'quarantine_share' as check_name,
        source,
        source_table,
        load_id,
        loaded_at,
        quarantined_share as measured,
        case
            when quarantined_share > {{ fail_share }} then 'fail'
            when quarantined_share > {{ warn_share }} then 'warn'
            else 'pass'
        end as outcome,
        source || ': ' || cast(quarantined_rows as varchar) || ' of ' || cast(rows_brought as varchar) || ' rows of '
        || source_table || ' that load ' || load_id || ' brought are quarantined. analytics.quarantine_rows says why.'
        || ' Mend them in the source and sync again; if they may stay out of the marts, raise'
        || ' GTM_QUARANTINE_FAIL_SHARE (now {{ fail_share }}) or'
        || ' GTM_QUARANTINE_WARN_SHARE (now {{ warn_share }}).'
            as message
    from loads
    where live_rows_now >= {{ var("quarantine_min_rows", 20) }} and loads_like_it_ago = 1
),

complete as (
    select
        loads.*,
        {#- A row that can't be split into columns is no row of the table, a record's second version no second one. -#}
        seen - rejected - duplicates as read_rows,
        max(baseline) over (partition by source_table) as newest_baseline,
        row_number() over (partition by source_table order by loaded_at desc, load_id desc) as complete_loads_ago
    from loads
    where is_complete
),

greatest_volumes as (
    select
        source_table,
        max(read_rows) as read_rows
    from complete
    where baseline = newest_baseline
    group by source_table
),

volume as (
    select
        'volume' as check_name,
        complete.source,
        complete.source_table,
        complete.load_id,
        complete.loaded_at,
        case
            when greatest_volumes.read_rows > 0
                then cast(complete.read_rows as decimal(18, 6)) / greatest_volumes.read_rows
            else 1
        end as measured,
        case
            when complete.read_rows < {{ min_share }} * greatest_volumes.read_rows then 'fail' else 'pass'
        end as outcome,
        complete.source || ': load ' || complete.load_id || ' read ' || cast(complete.read_rows as varchar)
        || ' rows of ' || complete.source_table
        || case
            when complete.rejected > 0
                then ' and rejected ' || cast(complete.rejected as varchar) || ' (raw.rejects says why)'
            else ''
        end
        || ', an earlier one ' || cast(greatest_volumes.read_rows as varchar)
        || '. Less than {{ min_share }} of it looks like a broken export or a missing file. Repair the source and sync'
        || ' again; if the smaller number is right, sync once with accept_volume.' as message
    from complete
    inner join greatest_volumes on complete.source_table = greatest_volumes.source_table
    where complete.complete_loads_ago = 1
),

newest_by_source as (
    select
        source,
        max(loaded_at) as loaded_at
    from loads
    -- Change events bring single records, a backfill a window: that they come says nothing of the rest.
    where coalesce(mode, 'full') not in ('records', 'part')
    group by source
),

freshness as (
    select
        'freshness' as check_name,
        source,
        cast(null as varchar) as source_table,
        cast(null as varchar) as load_id,
        loaded_at,
        {{ dbt.datediff("loaded_at", "least(" ~ started_at ~ ", " ~ end_of_day ~ ")", "minute") }} / 60.0 as measured
    from newest_by_source
),

checks as (
    select * from quarantine
    union all
    select * from volume
    union all
    select
        check_name,
        source,
        source_table,
        load_id,
        loaded_at,
        measured,
        case when measured > {{ max_age_hours }} then 'fail' else 'pass' end as outcome,
        source || ' was last loaded at ' || left({{ timestamp_text("loaded_at") }}, 19) || ' UTC, '
        || cast(cast(floor(measured) as integer) as varchar) || ' hours before this build; scores would rest on old'
        || ' data. Sync it; if it is loaded less often on purpose, raise'
        || ' GTM_SOURCE_MAX_AGE_HOURS (now {{ max_age_hours }}).' as message
    from freshness
)

select
    check_name,
    source,
    source_table,
    load_id,
    loaded_at,
    cast(measured as decimal(18, 6)) as measured,
    outcome,
    case when outcome <> 'pass' then message end as message,
    {{ audit_columns() }}
from checks
