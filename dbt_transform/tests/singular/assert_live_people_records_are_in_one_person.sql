{# Every live person record is one person's, and dim_contacts counts each that survives its merges exactly once. #}
with live_records as (
    select
        source_system,
        'contact' as record_type,
        contact_id
    from {{ ref("stg_hubspot__contacts") }}
    where not is_deleted
    union all
    select
        source_system,
        'contact' as record_type,
        contact_id
    from {{ ref("stg_salesforce__contacts") }}
    where not is_deleted
    union all
    select
        source_system,
        'lead' as record_type,
        lead_id as contact_id
    from {{ ref("stg_salesforce__leads") }}
    where not is_deleted
),

persons_of_record as (
    select
        live_records.source_system,
        live_records.record_type,
        live_records.contact_id,
        count(contacts.person_id) as persons
    from live_records
    left join {{ ref("int_contacts_matched") }} as matched
        on
            live_records.source_system = matched.source_system
            and live_records.record_type = matched.record_type
            and live_records.contact_id = matched.contact_id
    left join {{ ref("dim_contacts") }} as contacts on matched.person_id = contacts.person_id
    group by live_records.source_system, live_records.record_type, live_records.contact_id
),

records_of_person as (
    select
        person_id,
        count(case when contact_id = surviving_contact_id then 1 end) as records
    from {{ ref("int_contacts_matched") }}
    group by person_id
)

select
    source_system || ':' || record_type || ':' || contact_id as failing,
    persons as found,
    1 as expected
from persons_of_record
where persons <> 1
union all
select
    coalesce(contacts.person_id, records_of_person.person_id) as failing,
    contacts.records as found,
    records_of_person.records as expected
from {{ ref("dim_contacts") }} as contacts
full outer join records_of_person on contacts.person_id = records_of_person.person_id
where coalesce(contacts.records, 0) <> coalesce(records_of_person.records, 0)
