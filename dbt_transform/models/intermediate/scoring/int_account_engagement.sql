{%- set end_of_day = dbt.dateadd("day", 1, "cast(" ~ as_of_date() ~ " as timestamp)") -%}
{#-
    Salesforce leaves the planned close date as it is when a stage is closed: a close later than the day on which the record
    was landed is a plan, and the record closed before we learned of it.
-#}
{%- set was_planned = "cast(closed_at as date) > cast(loaded_at as date)" -%}

with visits as (
    select
        account_id,
        person_id,
        is_high_intent,
        touched_at,
        {{ dbt.datediff("touched_at", as_of_date(), "day") }} as days_ago
    from {{ ref("int_touchpoints") }}
    where touch_type = 'web_visit'
),

account_visits as (
    select
        account_id,
        count(case when days_ago < 30 then 1 end) as visits_30d,
        count(case when days_ago < 90 then 1 end) as visits_90d,
        count(case when days_ago < 90 and is_high_intent then 1 end) as high_intent_visits_90d,
        count(distinct case when days_ago < 90 then person_id end) as engaged_contacts_90d,
        max(touched_at) as last_visit_at,
        min(days_ago) as days_since_last_visit
    from visits
    where days_ago >= 0
    group by account_id
),

account_contacts as (
    select
        account_id,
        count(distinct person_id) as contacts
    from {{ ref("int_contacts_matched") }}
    where account_id is not null and (created_at is null or created_at < {{ end_of_day }})
    group by account_id
),

-- As they stood at the end of the day: what closed later was still open, what closed nobody knows when is closed.
opportunities as (
    select
        account_id,
        amount_usd,
        is_closed and (closed_at is null or closed_at < {{ end_of_day }} or {{ was_planned }}) as is_closed,
        is_won and (closed_at is null or closed_at < {{ end_of_day }} or {{ was_planned }}) as is_won
    from {{ ref("int_opportunities_unioned") }}
    where account_id is not null and (created_at is null or created_at < {{ end_of_day }})
),

account_opportunities as (
    select
        account_id,
        count(case when not is_closed then 1 end) as open_opportunities,
        count(case when is_won then 1 end) as won_opportunities,
        count(case when is_closed and not is_won then 1 end) as lost_opportunities,
        sum(case when not is_closed then amount_usd end) as open_pipeline_usd,
        sum(case when is_won then amount_usd end) as won_arr_usd
    from opportunities
    group by account_id
)

select
    accounts.account_id,
    coalesce(account_contacts.contacts, 0) as contacts,
    coalesce(account_visits.engaged_contacts_90d, 0) as engaged_contacts_90d,
    coalesce(account_visits.visits_30d, 0) as visits_30d,
    coalesce(account_visits.visits_90d, 0) as visits_90d,
    coalesce(account_visits.high_intent_visits_90d, 0) as high_intent_visits_90d,
    account_visits.last_visit_at,
    account_visits.days_since_last_visit,
    coalesce(account_opportunities.open_opportunities, 0) as open_opportunities,
    coalesce(account_opportunities.won_opportunities, 0) as won_opportunities,
    coalesce(account_opportunities.lost_opportunities, 0) as lost_opportunities,
    cast(coalesce(account_opportunities.open_pipeline_usd, 0) as decimal(18, 2)) as open_pipeline_usd,
    cast(coalesce(account_opportunities.won_arr_usd, 0) as decimal(18, 2)) as won_arr_usd,
    {{ audit_columns() }}
from {{ ref("int_accounts_merged") }} as accounts
left join account_visits on accounts.account_id = account_visits.account_id
left join account_contacts on accounts.account_id = account_contacts.account_id
left join account_opportunities on accounts.account_id = account_opportunities.account_id
