{#
    A deal that a sync has copied between the CRMs is one opportunity: of the living deals that name a Salesforce opportunity
    that is counted, one is its copy and isn't counted, and no record that was merged away is counted at all.
#}
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
    min(counted.opportunity_id) as opportunity_id,
    copied.opportunity_id as counted_as
from named
inner join {{ ref("stg_hubspot__deals") }} as deals on named.deal_id = deals.deal_id and not deals.is_deleted
inner join {{ ref("int_opportunities_unioned") }} as copied
    on copied.source_system = 'salesforce' and named.salesforce_opportunity_id = copied.source_record_id
left join {{ ref("int_opportunities_unioned") }} as counted
    on counted.source_system = 'hubspot' and named.deal_id = counted.source_record_id
group by copied.opportunity_id
having count(counted.opportunity_id) = count(*)
union all
select
    opportunities.opportunity_id,
    merged.source_system || ':' || merged.surviving_record_id as counted_as
from {{ ref("int_opportunities_unioned") }} as opportunities
inner join {{ ref("int_records_merged") }} as merged
    on
        merged.object_type = 'opportunity'
        and opportunities.source_system = merged.source_system
        and opportunities.source_record_id = merged.merged_record_id
