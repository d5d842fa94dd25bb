with opportunities as (
    select
        source_system,
        source_record_id,
        salesforce_account_id as account_record_id,
        opportunity_name,
        stage_name,
        amount_usd,
        is_closed or is_won as is_closed,
        is_won,
        close_at,
        created_at
    from {{ ref("stg_salesforce__opportunities") }}
    where not is_deleted
    union all
    select
        source_system,
        source_record_id,
        company_id as account_record_id,
        deal_name as opportunity_name,
        stage_name,
        amount_usd,
        is_closed or is_won as is_closed,
        is_won,
        close_at,
        created_at
    from {{ ref("stg_hubspot__deals") }}
    where not is_deleted
)

select
    opportunities.source_system || ':' || opportunities.source_record_id as opportunity_id,
    opportunities.source_system,
    opportunities.source_record_id,
    accounts.account_id,
    opportunities.opportunity_name,
    opportunities.stage_name,
    opportunities.amount_usd,
    opportunities.is_closed,
    opportunities.is_won,
    cast(opportunities.close_at as date) as close_date,
    -- A close without a time of day (all of Salesforce's) holds until that day ends, so that its own touches count.
    case
        when not opportunities.is_closed then null
        when opportunities.close_at = cast(cast(opportunities.close_at as date) as timestamp)
            then {{ dbt.dateadd("second", 86399, "opportunities.close_at") }}
        else opportunities.close_at
    end as closed_at,
    opportunities.created_at,
    {{ audit_columns() }}
from opportunities
left join {{ ref("int_accounts_matched") }} as accounts
    on
        opportunities.source_system = accounts.source_system
        and opportunities.account_record_id = accounts.source_record_id
