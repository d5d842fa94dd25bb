with merged_away as (
    select
        source_system,
        merged_record_id,
        surviving_record_id
    from {{ ref("int_records_merged") }}
    where object_type = 'opportunity'
),

salesforce_opportunities as (
    select opportunities.*
    from {{ ref("stg_salesforce__opportunities") }} as opportunities
    left join merged_away
        on
            opportunities.source_system = merged_away.source_system
            and opportunities.opportunity_id = merged_away.merged_record_id
    where not opportunities.is_deleted and merged_away.merged_record_id is null
),

-- Every deal record, also one that was merged away since, and the deal that it is today.
deal_records as (
    select
        deals.deal_id,
        coalesce(merged_away.surviving_record_id, deals.deal_id) as living_deal_id,
        deals.salesforce_opportunity_id
    from {{ ref("stg_hubspot__deals") }} as deals
    left join merged_away
        on deals.source_system = merged_away.source_system and deals.deal_id = merged_away.merged_record_id
),

-- A sync has copied these deals to or from Salesforce; wherever it began, Salesforce's record is the one counted.
-- It copies one to one: a younger deal that names the same opportunity is a clone, sold for itself.
synced_deals as (
    select deal_records.living_deal_id
    from deal_records
    inner join salesforce_opportunities
        on deal_records.salesforce_opportunity_id = salesforce_opportunities.opportunity_id
    inner join {{ ref("stg_hubspot__deals") }} as deals on deal_records.living_deal_id = deals.deal_id
    where not deals.is_deleted
    {{ top_n_by(
        ["deal_records.salesforce_opportunity_id"], ["deals.created_at nulls last", "deal_records.living_deal_id"]
    ) }}
),

hubspot_deals as (
    select deals.*
    from {{ ref("stg_hubspot__deals") }} as deals
    left join merged_away
        on deals.source_system = merged_away.source_system and deals.deal_id = merged_away.merged_record_id
    left join synced_deals on deals.deal_id = synced_deals.living_deal_id
    where not deals.is_deleted and merged_away.merged_record_id is null and synced_deals.living_deal_id is null
),

-- Associations may still name the record that was merged away.
account_of_deal_companies as (
    select
        coalesce(merged_away.surviving_record_id, deal_companies.deal_id) as deal_id,
        accounts.account_id
    from {{ ref("stg_hubspot__deal_companies") }} as deal_companies
    inner join {{ ref("int_accounts_matched") }} as accounts
        on
            deal_companies.source_system = accounts.source_system
            and deal_companies.company_id = accounts.source_record_id
    left join merged_away
        on
            deal_companies.source_system = merged_away.source_system
            and deal_companies.deal_id = merged_away.merged_record_id
    where not deal_companies.is_deleted
    {{ top_n_by(
        ["coalesce(merged_away.surviving_record_id, deal_companies.deal_id)"],
        ["deal_companies.company_id", "accounts.account_id"],
    ) }}
),

account_of_deal_contacts as (
    select
        coalesce(merged_away.surviving_record_id, deal_contacts.deal_id) as deal_id,
        min(contacts.account_id) as account_id
    from {{ ref("stg_hubspot__deal_contacts") }} as deal_contacts
    inner join {{ ref("int_contacts_matched") }} as contacts
        on
            deal_contacts.source_system = contacts.source_system
            and contacts.record_type = 'contact'
            and deal_contacts.contact_id = contacts.contact_id
    left join merged_away
        on
            deal_contacts.source_system = merged_away.source_system
            and deal_contacts.deal_id = merged_away.merged_record_id
    where not deal_contacts.is_deleted and contacts.account_id is not null
    group by coalesce(merged_away.surviving_record_id, deal_contacts.deal_id)
    having min(contacts.account_id) = max(contacts.account_id)
),

account_of_contact_roles as (
    select
        roles.source_system,
        roles.opportunity_id,
        min(contacts.account_id) as account_id
    from {{ ref("stg_salesforce__opportunity_contact_roles") }} as roles
    inner join {{ ref("int_contacts_matched") }} as contacts
        on
            roles.source_system = contacts.source_system
            and contacts.record_type = 'contact'
            and roles.contact_id = contacts.contact_id
    where not roles.is_deleted and contacts.account_id is not null
    group by roles.source_system, roles.opportunity_id
    having min(contacts.account_id) = max(contacts.account_id)
),

hubspot_opportunities as (
    select
        deals.source_system,
        deals.source_record_id,
        deals.loaded_at,
        coalesce(
            accounts.account_id, account_of_deal_companies.account_id, account_of_deal_contacts.account_id
        ) as account_id,
        deals.deal_name as opportunity_name,
        coalesce(stages.stage_name, deals.stage_id) as stage_name,
        {{ to_opportunity_type("deals.deal_type") }} as opportunity_type,
        deals.amount_usd,
        deals.currency_code,
        deals.owner_id,
        -- The deal itself, else its stage, else the name of a stage that we have no record of.
        coalesce(
            deals.is_closed,
            case when deals.is_won then true end,
            stages.is_closed,
            replace(lower(deals.stage_id), ' ', '') in ('closedwon', 'closedlost'),
            false
        ) as is_closed,
        coalesce(
            deals.is_won, stages.is_won, replace(lower(deals.stage_id), ' ', '') = 'closedwon', false
        ) as is_won,
        deals.close_at,
        deals.created_at
    from hubspot_deals as deals
    left join {{ ref("stg_hubspot__pipeline_stages") }} as stages on deals.stage_id = stages.stage_id
    left join {{ ref("int_accounts_matched") }} as accounts
        on deals.source_system = accounts.source_system and deals.company_id = accounts.source_record_id
    left join account_of_deal_companies on deals.deal_id = account_of_deal_companies.deal_id
    left join account_of_deal_contacts on deals.deal_id = account_of_deal_contacts.deal_id
),

opportunities as (
    select
        opportunities.source_system,
        opportunities.source_record_id,
        opportunities.loaded_at,
        coalesce(accounts.account_id, account_of_contact_roles.account_id) as account_id,
        opportunities.opportunity_name,
        opportunities.stage_name,
        {{ to_opportunity_type("opportunities.opportunity_type") }} as opportunity_type,
        opportunities.amount_usd,
        opportunities.currency_code,
        opportunities.owner_id,
        opportunities.is_closed,
        opportunities.is_won,
        opportunities.close_at,
        opportunities.created_at
    from salesforce_opportunities as opportunities
    left join {{ ref("int_accounts_matched") }} as accounts
        on
            opportunities.source_system = accounts.source_system
            and opportunities.salesforce_account_id = accounts.source_record_id
    left join account_of_contact_roles
        on
            opportunities.source_system = account_of_contact_roles.source_system
            and opportunities.opportunity_id = account_of_contact_roles.opportunity_id
    union all
    select
        source_system,
        source_record_id,
        loaded_at,
        account_id,
        opportunity_name,
        stage_name,
        opportunity_type,
        amount_usd,
        currency_code,
        owner_id,
        is_closed,
        is_won,
        close_at,
        created_at
    from hubspot_opportunities
)

select
    source_system || ':' || source_record_id as opportunity_id,
    source_system,
    source_record_id,
    account_id,
    opportunity_name,
    stage_name,
    opportunity_type,
    amount_usd,
    currency_code,
    owner_id,
    is_closed or is_won as is_closed,
    is_won,
    cast(close_at as date) as close_date,
    -- A close without a time of day (all of Salesforce's) holds until that day ends, so that its own touches count.
    case
        when not (is_closed or is_won) then null
        when close_at = cast(cast(close_at as date) as timestamp) then {{ dbt.dateadd("second", 86399, "close_at") }}
        else close_at
    end as closed_at,
    created_at,
    loaded_at,
    {{ audit_columns() }}
from opportunities
