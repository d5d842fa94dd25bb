{#
    A deal that a sync has copied between the CRMs is one opportunity: no deal that is counted names a Salesforce opportunity
    that is counted too, and no record that was merged away is counted at all.
#}
select
    opportunities.opportunity_id,
    'salesforce:' || deals.salesforce_opportunity_id as counted_as
from {{ ref("int_opportunities_unioned") }} as opportunities
inner join {{ ref("stg_hubspot__deals") }} as deals
    on opportunities.source_system = 'hubspot' and opportunities.source_record_id = deals.deal_id
inner join {{ ref("int_opportunities_unioned") }} as copies
    on copies.source_system = 'salesforce' and deals.salesforce_opportunity_id = copies.source_record_id
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
