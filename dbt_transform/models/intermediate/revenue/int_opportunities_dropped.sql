{{ config(materialized="view") }}

with known_records as (
    select
        source_system,
        source_record_id
    from {{ ref("stg_salesforce__opportunities") }}
    union distinct
    select
        source_system,
        source_record_id
    from {{ ref("stg_hubspot__deals") }}
    union distinct
    select
        source_system,
        merged_record_id as source_record_id
    from {{ ref("int_records_merged") }}
    where object_type = 'opportunity'
    union distinct
    -- A deal that is counted stands for the opportunity that it names, also while that one's row is in quarantine.
    select
        'salesforce' as source_system,
        salesforce_opportunity_id as source_record_id
    from {{ ref("stg_hubspot__deals") }}
    where salesforce_opportunity_id is not null and not is_deleted
)

select
    known_records.source_system || ':' || known_records.source_record_id as opportunity_id,
    known_records.source_system,
    known_records.source_record_id,
    {{ audit_columns() }}
from known_records
left join {{ ref("int_opportunities_unioned") }} as counted
    on
        known_records.source_system = counted.source_system
        and known_records.source_record_id = counted.source_record_id
where counted.opportunity_id is null
