{#
    Every live account record of a CRM is in dim_accounts exactly once, under its own id or, merged away, under its
    survivor's; and an account has no record that isn't live.
#}
with live_records as (
    select
        source_system,
        company_id as source_record_id
    from {{ ref("stg_hubspot__companies") }}
    where not is_deleted
    union all
    select
        source_system,
        salesforce_account_id as source_record_id
    from {{ ref("stg_salesforce__accounts") }}
    where not is_deleted
),

expected as (
    select distinct
        live_records.source_system,
        coalesce(merges.surviving_record_id, live_records.source_record_id) as source_record_id
    from live_records
    left join {{ ref("int_records_merged") }} as merges
        on
            live_records.source_system = merges.source_system
            and live_records.source_record_id = merges.merged_record_id
            and merges.object_type = 'account'
),

found as (
    select
        'hubspot' as source_system,
        hubspot_company_id as source_record_id,
        account_id
    from {{ ref("dim_accounts") }}
    where hubspot_company_id is not null
    union all
    select
        'salesforce' as source_system,
        salesforce_account_id as source_record_id,
        account_id
    from {{ ref("dim_accounts") }}
    where salesforce_account_id is not null
)

select
    coalesce(expected.source_system, found.source_system) as source_system,
    coalesce(expected.source_record_id, found.source_record_id) as source_record_id,
    count(expected.source_record_id) as live_records,
    count(found.account_id) as accounts
from expected
full outer join found
    on expected.source_system = found.source_system and expected.source_record_id = found.source_record_id
group by 1, 2
having count(expected.source_record_id) <> 1 or count(found.account_id) <> 1
