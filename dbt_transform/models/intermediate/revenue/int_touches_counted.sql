{{ config(snowflake_warehouse=env_var("GTM_DBT_WAREHOUSE_LARGE", "") or none) }}

with closed as (
    select
        opportunity_id,
        account_id,
        is_won,
        closed_at,
        -- Closes are told to the second, touches more exactly: the second of the close counts to its end.
        {{ dbt.dateadd("second", 1, "closed_at") }} as counted_until,
        {{ dbt.dateadd("day", -var("attribution_window_days", 90), "closed_at") }} as counted_from
    from {{ ref("int_opportunities_unioned") }}
    where is_closed and closed_at is not null and account_id is not null
)

-- Two touches of the same second are ordered by id, so that every build picks the same first and last one.
select
    closed.opportunity_id,
    touchpoints.touchpoint_id,
    closed.is_won,
    cast(date_trunc('month', closed.closed_at) as date) as close_month,
    touchpoints.channel,
    touchpoints.touched_at,
    row_number() over (
        partition by closed.opportunity_id order by touchpoints.touched_at, touchpoints.touchpoint_id
    ) as touch_number,
    count(*) over (partition by closed.opportunity_id) as touches,
    lag(touchpoints.channel) over (
        partition by closed.opportunity_id order by touchpoints.touched_at, touchpoints.touchpoint_id
    ) as channel_before,
    {{ audit_columns() }}
from closed
inner join {{ ref("int_touchpoints") }} as touchpoints
    on
        closed.account_id = touchpoints.account_id
        and closed.counted_until > touchpoints.touched_at
        and closed.counted_from <= touchpoints.touched_at
        -- A page of the same site goes on with a visit: what brought the visit has been counted.
        and touchpoints.channel <> 'internal'
