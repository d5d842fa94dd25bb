{# No silent many-to-many: an account has one live record of each CRM at most, and one method, confidence and value. #}
select
    account_id,
    count(case when source_system = 'hubspot' then 1 end) as hubspot_companies,
    count(case when source_system = 'salesforce' then 1 end) as salesforce_accounts,
    count(distinct match_method) as match_methods
from {{ ref("int_accounts_matched") }}
where match_method <> 'merged'
group by account_id
having
    count(case when source_system = 'hubspot' then 1 end) > 1
    or count(case when source_system = 'salesforce' then 1 end) > 1
    or count(distinct match_method) > 1
    or (count(*) = 1) <> (min(match_method) = 'single_source')
