{# A factor that a new word or band fails to cover must not vanish silently. #}
select
    accounts.account_id,
    count(factors.factor) as factors
from {{ ref("dim_accounts") }} as accounts
left join {{ ref("fct_account_score_factors") }} as factors on accounts.account_id = factors.account_id
group by accounts.account_id
having count(factors.factor) <> (select count(distinct weights.factor) from {{ ref("int_scoring_weights") }} as weights)
