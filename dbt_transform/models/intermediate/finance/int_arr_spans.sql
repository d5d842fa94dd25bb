{%- set contract_months = var("arr_contract_months", none) -%}
{#- A renewal is often signed after the contract's end: within these days, the last one too, what ran has gone on. -#}
{%- set late_renewal_days = 90 -%}

with subscriptions as (
    select
        subscriptions.source_system,
        subscriptions.source_record_id,
        subscriptions.plan_name,
        subscriptions.arr_usd,
        -- The last minute of a day is that day's end: what ends then has run on it, what begins then runs from
        -- the next one. What ends at noon hasn't.
        cast({{ dbt.dateadd("minute", 1, "subscriptions.started_at") }} as date) as started_on,
        cast({{ dbt.dateadd("minute", 1, "subscriptions.ended_at") }} as date) as ended_on,
        coalesce(by_salesforce_id.account_id, by_hubspot_id.account_id, domains.account_id) as account_id,
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
    left join {{ ref("int_domains_owned") }} as domains on subscriptions.domain = domains.domain
    where not subscriptions.is_deleted
),

-- Billing knows what is paid; deals stand in only for accounts of which it knows nothing.
contracts as (
    select
        opportunities.source_system,
        opportunities.source_record_id,
        opportunities.account_id,
        opportunities.opportunity_id as customer_named,
        {{ to_contract_type(
            "opportunities.opportunity_type",
            "coalesce(of_salesforce.opportunity_type, of_hubspot.deal_type)",
            "opportunities.opportunity_name",
            "accounts.account_name",
        ) }} as contract_type,
        coalesce(opportunities.amount_usd, 0) as arr_usd,
        coalesce(opportunities.close_date, cast(opportunities.created_at as date)) as started_on
    from {{ ref("int_opportunities_unioned") }} as opportunities
    -- The type in the CRM's own words tells an upsell from other existing business.
    left join {{ ref("stg_salesforce__opportunities") }} as of_salesforce
        on
            opportunities.source_system = of_salesforce.source_system
            and opportunities.source_record_id = of_salesforce.source_record_id
    left join {{ ref("stg_hubspot__deals") }} as of_hubspot
        on
            opportunities.source_system = of_hubspot.source_system
            and opportunities.source_record_id = of_hubspot.source_record_id
    left join {{ ref("int_accounts_merged") }} as accounts on opportunities.account_id = accounts.account_id
    left join (select distinct account_id from subscriptions) as billed
        on opportunities.account_id = billed.account_id
    where opportunities.is_won and billed.account_id is null
),

-- Days on which a renewal or contraction says what the account pays from then on, or that it goes on, not saying what.
renewal_days as (
    select
        account_id,
        started_on,
        max(arr_usd) > 0 as is_priced,
        max(case when contract_type = 'contraction' then arr_usd else 0 end) > 0 as says_what_is_left
    from contracts
    where contract_type in ('renewal', 'contraction')
    group by account_id, started_on
),

-- Both take the place of what ran before them, and a contraction that of the same day's renewals ("renewed with fewer
-- seats"), which so run for no day; one without an amount adds nothing, and what ran goes on.
renewed as (
    select
        contracts.source_system,
        contracts.source_record_id,
        contracts.account_id,
        contracts.customer_named,
        contracts.contract_type,
        contracts.arr_usd,
        contracts.started_on,
        min(renewal_days.started_on) as renewed_on
    from contracts
    left join renewal_days
        on
            contracts.account_id = renewal_days.account_id
            and renewal_days.is_priced
            and (
                contracts.started_on < renewal_days.started_on
                or (
                    contracts.started_on = renewal_days.started_on
                    and contracts.contract_type = 'renewal'
                    and renewal_days.says_what_is_left
                )
            )
    where contracts.contract_type not in ('renewal', 'contraction') or contracts.arr_usd > 0
    group by
        contracts.source_system,
        contracts.source_record_id,
        contracts.account_id,
        contracts.customer_named,
        contracts.contract_type,
        contracts.arr_usd,
        contracts.started_on
),

{% if contract_months is none -%}
contract_spans as (
    select
        renewed.*,
        renewed_on as ended_on
    from renewed
),
{%- else -%}
-- Renewals that name no other amount let what ran go on. The first carries it into its second length, and so forth.
repeats as (
    select
        renewed.source_system,
        renewed.source_record_id,
        renewed.started_on,
        renewal_days.started_on as repeated_on,
        row_number() over (
            partition by renewed.source_system, renewed.source_record_id order by renewal_days.started_on
        ) as repeat_number
    from renewed
    inner join renewal_days
        on
            renewed.account_id = renewal_days.account_id
            and renewed.started_on < renewal_days.started_on
            and not renewal_days.is_priced
    where renewed.renewed_on is null or renewal_days.started_on < renewed.renewed_on
),

repeat_limits as (
    select
        repeats.*,
        {{ dbt.dateadd("month", "repeat_number * " ~ contract_months, "started_on") }} as length_ends_on
    from repeats
),

-- Those before the first that comes too late.
repeats_in_time as (
    select
        source_system,
        source_record_id,
        coalesce(
            min(
                case
                    when repeated_on > {{ dbt.dateadd("day", late_renewal_days, "length_ends_on") }} then repeat_number
                end
            ) - 1,
            count(*)
        ) as repeats
    from repeat_limits
    group by source_system, source_record_id
),

contract_ends as (
    select
        renewed.*,
        cast(
            {{ dbt.dateadd(
                "month",
                "(1 + coalesce(repeats_in_time.repeats, 0)) * " ~ contract_months,
                "renewed.started_on",
            ) }} as date
        ) as runs_out_on
    from renewed
    left join repeats_in_time
        on
            renewed.source_system = repeats_in_time.source_system
            and renewed.source_record_id = repeats_in_time.source_record_id
),

contract_spans as (
    select
        contract_ends.*,
        case
            when renewed_on <= {{ dbt.dateadd("day", late_renewal_days, "runs_out_on") }} then renewed_on
            else runs_out_on
        end as ended_on
    from contract_ends
),
{%- endif %}

unioned as (
    select
        'billing' as arr_source,
        source_system,
        source_record_id,
        account_id,
        customer_named,
        cast(null as varchar) as contract_type,
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
        contract_type,
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
    contract_type,
    plan_name,
    cast(coalesce(arr_usd, 0) as decimal(18, 2)) as arr_usd,
    started_on,
    ended_on,
    {{ audit_columns() }}
from unioned
