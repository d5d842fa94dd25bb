with component_points as (
    select
        account_id,
        sum(case when component = 'fit' then points end) as fit_points,
        sum(case when component = 'engagement' then points end) as engagement_points
    from {{ ref("int_account_factors") }}
    group by account_id
),

clamped as (
    select
        account_id,
        cast(
            round(case when fit_points > 50 then 50 when fit_points > 0 then fit_points else 0 end) as integer
        ) as fit_score,
        cast(
            round(case when engagement_points > 50 then 50 when engagement_points > 0 then engagement_points else 0 end)
            as integer
        ) as engagement_score
    from component_points
),

scored as (
    select
        accounts.account_id,
        accounts.account_name,
        accounts.domain,
        accounts.industry,
        accounts.region,
        accounts.vehicle_type,
        accounts.lifecycle_stage,
        accounts.employees,
        accounts.fleet_size,
        engagement.visits_30d,
        engagement.visits_90d,
        engagement.high_intent_visits_90d,
        engagement.days_since_last_visit,
        engagement.engaged_contacts_90d,
        engagement.open_opportunities,
        engagement.open_pipeline_usd,
        coalesce(clamped.fit_score, 0) as fit_score,
        coalesce(clamped.engagement_score, 0) as engagement_score,
        coalesce(clamped.fit_score, 0) + coalesce(clamped.engagement_score, 0) as baseline_score
    from {{ ref("int_accounts_merged") }} as accounts
    inner join {{ ref("int_account_engagement") }} as engagement on accounts.account_id = engagement.account_id
    left join clamped on accounts.account_id = clamped.account_id
)

select
    account_id,
    fit_score,
    engagement_score,
    baseline_score,
    md5(
        industry
        || '|' || region
        || '|' || vehicle_type
        || '|' || lifecycle_stage
        || '|' || {{ bucket("employees", [10, 50, 200, 1000, 5000]) }}
        || '|' || {{ bucket("fleet_size", [1, 10, 25, 50, 100, 250, 500, 1000]) }}
        || '|' || {{ bucket("visits_90d", [1, 3, 10, 25, 50, 100]) }}
        || '|' || {{ bucket("high_intent_visits_90d", [1, 3, 6, 12, 25]) }}
        || '|' || {{ bucket("days_since_last_visit", [2, 8, 15, 31, 61, 91, 181]) }}
        || '|' || {{ bucket("engaged_contacts_90d", [1, 2, 3, 5, 10]) }}
        || '|' || {{ bucket("open_opportunities", [1]) }}
        || '|' || {{ bucket("open_pipeline_usd", [1, 5000, 20000, 50000, 100000, 500000]) }}
        || '|' || cast(cast(floor(baseline_score / 5) as integer) as varchar)
        {#- Other weights give other factors, which a rep is shown, also where the score stays in its five. #}
        || '|' || '{{ var("weights_version", "unversioned") }}'
    ) as profile_hash,
    {#- What a lead shows of the account, exactly: all that its factors judge and its pitch may name. #}
    md5(
        industry
        || '|' || region
        || '|' || vehicle_type
        {%- for number in [
            "employees", "fleet_size", "visits_30d", "visits_90d", "high_intent_visits_90d", "days_since_last_visit",
            "engaged_contacts_90d", "open_opportunities", "open_pipeline_usd",
        ] %}
        || '|' || coalesce(cast({{ number }} as varchar), 'none')
        {%- endfor %}
        || '|' || '{{ var("weights_version", "unversioned") }}'
        || '|' || coalesce(domain, '')
        || '|' || account_name
    ) as facts_hash,
    {{ audit_columns() }}
from scored
