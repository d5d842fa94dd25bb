with signed_in as (
    select distinct
        source_system,
        visitor_id,
        contact_id
    from {{ ref("stg_hubspot__web_visits") }}
    where not is_deleted and visitor_id is not null and contact_id is not null
),

-- A contact that we don't know is somebody else: its browser is shared, or of nobody we know.
users as (
    select
        signed_in.visitor_id,
        contacts.surviving_contact_id as contact_id,
        coalesce(contacts.person_id, 'unknown:' || signed_in.contact_id) as person_id
    from signed_in
    left join {{ ref("int_contacts_matched") }} as contacts
        on
            signed_in.source_system = contacts.source_system
            and signed_in.contact_id = contacts.contact_id
            and contacts.record_type = 'contact'
)

select
    visitor_id,
    min(contact_id) as contact_id,
    {{ audit_columns() }}
from users
group by visitor_id
having min(person_id) = max(person_id) and min(contact_id) is not null
