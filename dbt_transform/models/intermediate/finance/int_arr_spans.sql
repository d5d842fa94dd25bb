{%- set contract_months = var("arr_contract_months", none) -%}

-- A domain stands for one account only: the oldest.
with account_of_domain as (
    select
        domain,
        account_id
    from {{ ref("int_accounts_merged") }}
    where domain is not null and not {{ is_free_mail_domain("domain") }}
    {{ top_n_by(["domain"], ["created_at nulls last", "account_id"]) }}
),

subscriptions as (
    select
        subscriptions.source_system,
        subscriptions.source_record_id,
        subscriptions.plan_name,
        subscriptions.arr_usd,
        cast(subscriptions.started_at as date) as started_on,
        cast(subscriptions.ended_at as date) as ended_on,
        coalesce(by_salesforce_id.account_id, by_hubspot_id.account_id, account_of_domain.account_id) as account_id,
        -- What the bill names, so that one customer's subscriptions stay together until the account is found.
        coalesce(
            'salesforce:' || subscriptions.salesforce_account_id,
            'hubspot:' || subscriptions.hubspot_company_id,
            'domain:' || subscriptions.domain,
            subscriptions.source_system || ':' || subscriptions.source_record_id
        ) as customer_named
    from {{ ref("stg_billing__subscriptions") }} as subscriptions
    left join {{ ref("int_accounts_matched") }} as by_salesforce_id
        on
            subscriptions.salesforce_account_id = by_salesforce_id.source_record_id
            and by_salesforce_id.source_system = 'salesforce'
    left join {{ ref("int_accounts_matched") }} as by_hubspot_id
        on
            subscriptions.hubspot_company_id = by_hubspot_id.source_record_id
            and by_hubspot_id.source_system = 'hubspot'
    left join account_of_domain on subscriptions.domain = account_of_domain.domain
    where not subscriptions.is_deleted
),

-- Billing knows what is paid; deals stand in only for accounts of which it knows nothing.
contracts as (
    select
        opportunities.source_system,
        opportunities.source_record_id,
        opportunities.account_id,
        opportunities.opportunity_id as customer_named,
        coalesce(opportunities.opportunity_type, 'other') as opportunity_type,
        coalesce(opportunities.amount_usd, 0) as arr_usd,
        coalesce(opportunities.close_date, cast(opportunities.created_at as date)) as started_on
    from {{ ref("int_opportunities_unioned") }} as opportunities
    left join (select distinct account_id from subscriptions) as billed
        on opportunities.account_id = billed.account_id
    where opportunities.is_won and billed.account_id is null
),

renewal_days as (
    select distinct
        account_id,
        started_on
    from contracts
    where opportunity_type = 'renewal' and arr_usd > 0
),

-- A renewal takes the place of what ran before it; one without an amount says nothing, so what ran goes on.
renewed as (
    select
        contracts.source_system,
        contracts.source_record_id,
        contracts.account_id,
        contracts.customer_named,
        contracts.arr_usd,
        contracts.started_on,
        min(renewal_days.started_on) as renewed_on
    from contracts
    left join renewal_days
        on contracts.account_id = renewal_days.account_id and contracts.started_on < renewal_days.started_on
    where contracts.opportunity_type <> 'renewal' or contracts.arr_usd > 0
    group by
        contracts.source_system,
        contracts.source_record_id,
        contracts.account_id,
        contracts.customer_named,
        contracts.arr_usd,
        contracts.started_on
),

contract_spans as (
    select
        renewed.*,
        {% if contract_months is none -%}
        renewed_on
        {%- else -%}
        case
            when renewed_on < {{ dbt.dateadd("month", contract_months, "started_on") }} then renewed_on
            else cast({{ dbt.dateadd("month", contract_months, "started_on") }} as date)
        end
        {%- endif %} as ended_on
    from renewed
),

unioned as (
    select
        'billing' as arr_source,
        source_system,
        source_record_id,
        account_id,
        customer_named,
        plan_name,
        arr_usd,
        started_on,
        ended_on
    from subscriptions
    union all
    select
        'opportunity' as arr_source,
        source_system,
        source_record_id,
        account_id,
        customer_named,
        cast(null as varchar) as plan_name,
        arr_usd,
        started_on,
        ended_on
    from contract_spans
)

select
    source_system || ':' || source_record_id as arr_span_id,
    coalesce(account_id, 'unmatched:' || customer_named) as account_id,
    account_id is not null as is_matched,
    arr_source,
    source_system,
    source_record_id,
    plan_name,
    cast(coalesce(arr_usd, 0) as decimal(18, 2)) as arr_usd,
    started_on,
    ended_on,
    {{ audit_columns() }}
from unioned
