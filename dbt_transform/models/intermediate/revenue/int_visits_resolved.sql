{{ config(materialized="view") }}

select
    visits.source_system,
    visits.source_record_id,
    visits.load_id,
    visits.loaded_at,
    -- A page view that isn't signed in is the contact's who alone is known to use the browser. A merged contact's views
    -- are those of the contact that it became.
    coalesce(contacts.surviving_contact_id, visits.contact_id, visitors.contact_id) as contact_id,
    visits.channel,
    visits.campaign,
    {{ url_without_query("visits.page_url") }} as page_url,
    visits.is_high_intent,
    visits.visited_at
from {{ ref("stg_hubspot__web_visits") }} as visits
left join {{ ref("int_visitors_stitched") }} as visitors on visits.visitor_id = visitors.visitor_id
left join {{ ref("int_contacts_matched") }} as contacts
    on
        visits.source_system = contacts.source_system
        and visits.contact_id = contacts.contact_id
        and contacts.record_type = 'contact'
where not visits.is_deleted
