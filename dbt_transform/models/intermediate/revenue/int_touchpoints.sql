with visits as (
    select * from {{ ref("stg_hubspot__web_visits") }}
    where not is_deleted
),

-- A browser that only one known contact has used is that contact's, also where it wasn't signed in.
contact_of_visitor as (
    select
        visitor_id,
        min(contact_id) as contact_id
    from visits
    where visitor_id is not null and contact_id is not null
    group by visitor_id
    having min(contact_id) = max(contact_id)
)

select
    visits.source_system || ':' || visits.visit_id as touchpoint_id,
    contacts.account_id,
    contacts.person_id,
    contacts.contact_id,
    visits.channel,
    visits.campaign,
    visits.page_url,
    visits.is_high_intent,
    visits.visited_at as touched_at,
    {{ audit_columns() }}
from visits
left join contact_of_visitor on visits.visitor_id = contact_of_visitor.visitor_id
inner join {{ ref("int_contacts_matched") }} as contacts
    on
        visits.source_system = contacts.source_system
        and coalesce(visits.contact_id, contact_of_visitor.contact_id) = contacts.contact_id
where contacts.account_id is not null
