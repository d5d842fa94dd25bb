with records as (
    select
        source_system,
        'contact' as record_type,
        contact_id,
        created_at
    from {{ ref("stg_hubspot__contacts") }}
    where not is_deleted
    union all
    select
        source_system,
        'contact' as record_type,
        contact_id,
        created_at
    from {{ ref("stg_salesforce__contacts") }}
    where not is_deleted
    union all
    select
        source_system,
        'lead' as record_type,
        lead_id as contact_id,
        created_at
    from {{ ref("stg_salesforce__leads") }}
    where not is_deleted
)

select
    people.account_id,
    min(records.created_at) as lead_created_at,
    {{ audit_columns() }}
from records
inner join {{ ref("int_contacts_matched") }} as people
    on
        records.source_system = people.source_system
        and records.record_type = people.record_type
        and records.contact_id = people.contact_id
where people.account_id is not null and records.created_at is not null
group by people.account_id
