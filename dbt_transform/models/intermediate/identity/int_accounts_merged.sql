with account_ids as (
    select
        account_id,
        min(match_method) as match_method,
        min(match_confidence) as match_confidence,
        min(matched_on) as matched_on,
        max(case when source_system = 'hubspot' then source_record_id end) as hubspot_company_id,
        max(case when source_system = 'salesforce' then source_record_id end) as salesforce_account_id
    from {{ ref("int_accounts_matched") }}
    where match_method <> 'merged'
    group by account_id
),

merged as (
    select
        account_ids.account_id,
        case when account_ids.hubspot_company_id is null then 'salesforce' else 'hubspot' end as source_system,
        coalesce(account_ids.hubspot_company_id, account_ids.salesforce_account_id) as source_record_id,
        account_ids.hubspot_company_id,
        account_ids.salesforce_account_id,
        account_ids.match_method,
        account_ids.match_confidence,
        account_ids.matched_on,
        coalesce(
            companies.company_name, accounts.company_name, companies.domain, accounts.domain, account_ids.account_id
        ) as account_name,
        coalesce(companies.domain, accounts.domain) as domain,
        {{ first_known("companies.industry", "accounts.industry") }} as industry,
        coalesce(companies.country, accounts.country) as country,
        coalesce(companies.employees, accounts.employees) as employees,
        coalesce(companies.fleet_size, accounts.fleet_size) as fleet_size,
        {{ first_known("companies.vehicle_type", "accounts.vehicle_type") }} as vehicle_type,
        coalesce(companies.annual_revenue_usd, accounts.annual_revenue_usd) as annual_revenue_usd,
        {{ first_known("companies.lifecycle_stage", "accounts.lifecycle_stage") }} as lifecycle_stage,
        case
            when companies.created_at <= accounts.created_at then companies.created_at
            else coalesce(accounts.created_at, companies.created_at)
        end as created_at
    from account_ids
    left join {{ ref("stg_hubspot__companies") }} as companies
        on account_ids.hubspot_company_id = companies.company_id
    left join {{ ref("stg_salesforce__accounts") }} as accounts
        on account_ids.salesforce_account_id = accounts.salesforce_account_id
)

select
    merged.*,
    {{ to_region("country") }} as region,
    {{ audit_columns() }}
from merged
