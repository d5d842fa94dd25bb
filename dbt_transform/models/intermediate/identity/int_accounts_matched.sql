with companies as (
    select
        company_id,
        case when {{ is_free_mail_domain("domain") }} then null else domain end as domain,
        salesforce_account_id,
        created_at
    from {{ ref("stg_hubspot__companies") }}
    where not is_deleted
),

accounts as (
    select
        salesforce_account_id,
        case when {{ is_free_mail_domain("domain") }} then null else domain end as domain,
        hubspot_company_id,
        created_at
    from {{ ref("stg_salesforce__accounts") }}
    where not is_deleted
),

-- Either CRM may name the other's record. Two that name each other beat one that is named.
named_pairs as (
    select
        company_id,
        salesforce_account_id,
        count(*) as votes
    from (
        select
            companies.company_id,
            accounts.salesforce_account_id
        from companies
        inner join accounts on companies.salesforce_account_id = accounts.salesforce_account_id
        union all
        select
            companies.company_id,
            accounts.salesforce_account_id
        from companies
        inner join accounts on companies.company_id = accounts.hubspot_company_id
    ) as namings
    group by company_id, salesforce_account_id
),

best_account_of_company as (
    select * from named_pairs
    {{ top_n_by(["company_id"], ["votes desc", "salesforce_account_id"]) }}
),

best_company_of_account as (
    select * from named_pairs
    {{ top_n_by(["salesforce_account_id"], ["votes desc", "company_id"]) }}
),

-- Both sides prefer each other, so no record is in two pairs.
pairs_by_external_id as (
    select
        best_account_of_company.company_id,
        best_account_of_company.salesforce_account_id
    from best_account_of_company
    inner join best_company_of_account
        on
            best_account_of_company.company_id = best_company_of_account.company_id
            and best_account_of_company.salesforce_account_id = best_company_of_account.salesforce_account_id
),

-- What is left is paired within each domain: oldest with oldest, second with second.
unpaired_companies as (
    select
        companies.company_id,
        companies.domain,
        row_number() over (
            partition by companies.domain order by companies.created_at nulls last, companies.company_id
        ) as place
    from companies
    left join pairs_by_external_id on companies.company_id = pairs_by_external_id.company_id
    where pairs_by_external_id.company_id is null and companies.domain is not null
),

unpaired_accounts as (
    select
        accounts.salesforce_account_id,
        accounts.domain,
        row_number() over (
            partition by accounts.domain order by accounts.created_at nulls last, accounts.salesforce_account_id
        ) as place
    from accounts
    left join pairs_by_external_id on accounts.salesforce_account_id = pairs_by_external_id.salesforce_account_id
    where pairs_by_external_id.salesforce_account_id is null and accounts.domain is not null
),

pairs as (
    select
        company_id,
        salesforce_account_id,
        'external_id' as match_method
    from pairs_by_external_id
    union all
    select
        unpaired_companies.company_id,
        unpaired_accounts.salesforce_account_id,
        'domain' as match_method
    from unpaired_companies
    inner join unpaired_accounts
        on unpaired_companies.domain = unpaired_accounts.domain and unpaired_companies.place = unpaired_accounts.place
),

matched as (
    select
        'hubspot:' || companies.company_id as account_id,
        'hubspot' as source_system,
        companies.company_id as source_record_id,
        coalesce(pairs.match_method, 'single_source') as match_method
    from companies
    left join pairs on companies.company_id = pairs.company_id
    union all
    select
        coalesce('hubspot:' || pairs.company_id, 'salesforce:' || accounts.salesforce_account_id) as account_id,
        'salesforce' as source_system,
        accounts.salesforce_account_id as source_record_id,
        coalesce(pairs.match_method, 'single_source') as match_method
    from accounts
    left join pairs on accounts.salesforce_account_id = pairs.salesforce_account_id
)

select
    account_id,
    source_system,
    source_record_id,
    match_method,
    {{ audit_columns() }}
from matched
