{#
    A counted deal that names a counted Salesforce opportunity was cloned from the copy that a sync has made: its money
    counts beside the opportunity's. Shown until someone clears the id or removes the deal.
#}
{{ config(severity="warn") }}

with named as (
    -- As in int_opportunities_unioned: a deal also speaks for those that were merged into it.
    select distinct
        coalesce(merged.surviving_record_id, deals.deal_id) as deal_id,
        deals.salesforce_opportunity_id
    from {{ ref("stg_hubspot__deals") }} as deals
    left join {{ ref("int_records_merged") }} as merged
        on
            merged.object_type = 'opportunity'
            and deals.source_system = merged.source_system
            and deals.deal_id = merged.merged_record_id
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
