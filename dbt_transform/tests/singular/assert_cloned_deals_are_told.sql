{#
    A counted deal that names a counted Salesforce opportunity was cloned from the copy that a sync has made: its money
    counts beside the opportunity's. Shown until someone clears the id or removes the deal.

    Where the synced deal itself was deleted, its clone is taken for the copy and not counted. Shown where it says another
    amount or day than the opportunity: perhaps it is another sale.
#}
{{ config(severity="warn") }}

with deals as (
    -- As in int_opportunities_unioned: a deal also speaks for those that were merged into it.
    select
        coalesce(merged.surviving_record_id, deals.deal_id) as deal_id,
        merged.merged_record_id is null as is_itself,
        deals.salesforce_opportunity_id,
        deals.amount_usd,
        cast(deals.close_at as date) as close_date,
        deals.created_at,
        deals.is_deleted
    from {{ ref("stg_hubspot__deals") }} as deals
    left join {{ ref("int_records_merged") }} as merged
        on
            merged.object_type = 'opportunity'
            and deals.source_system = merged.source_system
            and deals.deal_id = merged.merged_record_id
),

named as (
    select distinct
        deal_id,
        salesforce_opportunity_id
    from deals
),

first_deleted as (
    select
        salesforce_opportunity_id,
        min(created_at) as created_at
    from deals
    where is_itself and is_deleted
    group by salesforce_opportunity_id
)

select
    opportunities.opportunity_id,
    copied.opportunity_id as cloned_from,
    opportunities.account_id,
    opportunities.amount_usd,
    'Is this deal another sale than the Salesforce opportunity that it names? Then clear its Salesforce id in HubSpot, '
    || 'else delete it there or merge it into the deal that was synced.' as message
from named
inner join {{ ref("int_opportunities_unioned") }} as opportunities
    on opportunities.source_system = 'hubspot' and named.deal_id = opportunities.source_record_id
inner join {{ ref("int_opportunities_unioned") }} as copied
    on copied.source_system = 'salesforce' and named.salesforce_opportunity_id = copied.source_record_id
union all
select
    'hubspot:' || deals.deal_id as opportunity_id,
    copied.opportunity_id as cloned_from,
    copied.account_id,
    deals.amount_usd,
    'This deal is not counted: it names a Salesforce opportunity, as an older deal did that was deleted. Is it '
    || 'another sale? Then clear its Salesforce id in HubSpot, else give it the amount and the close date of the '
    || 'opportunity.' as message
from deals
inner join first_deleted
    on
        deals.salesforce_opportunity_id = first_deleted.salesforce_opportunity_id
        and deals.created_at > first_deleted.created_at
inner join {{ ref("int_opportunities_unioned") }} as copied
    on copied.source_system = 'salesforce' and deals.salesforce_opportunity_id = copied.source_record_id
left join {{ ref("int_opportunities_unioned") }} as counted
    on counted.source_system = 'hubspot' and deals.deal_id = counted.source_record_id
where
    deals.is_itself
    and not deals.is_deleted
    and counted.opportunity_id is null
    and (deals.amount_usd is distinct from copied.amount_usd or deals.close_date is distinct from copied.close_date)
