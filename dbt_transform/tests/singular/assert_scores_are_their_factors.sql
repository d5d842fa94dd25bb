{# A component's score is the clamped, rounded sum of its factors' points: what a rep reads is what was counted. #}
with summed as (
    select
        account_id,
        sum(case when component = 'fit' then points else 0 end) as fit_points,
        sum(case when component = 'engagement' then points else 0 end) as engagement_points
    from {{ ref("fct_account_score_factors") }}
    group by account_id
)

select
    accounts.account_id,
    accounts.fit_score,
    summed.fit_points,
    accounts.engagement_score,
    summed.engagement_points
from {{ ref("dim_accounts") }} as accounts
left join summed on accounts.account_id = summed.account_id
where
    summed.account_id is null
    or accounts.fit_score <> round(least(greatest(summed.fit_points, 0), 50))
    or accounts.engagement_score <> round(least(greatest(summed.engagement_points, 0), 50))
    or accounts.baseline_score <> accounts.fit_score + accounts.engagement_score
