{#-
    A form is sent from a page that a visit has led to: the visit's channel, if its last page was seen so recently. A long
    visit began earlier; one that nothing has begun in so many hours came directly.
-#}
{%- set minutes_from_visit_to_form = 30 -%}
{%- set hours_of_visit = 12 -%}

with forms as (
    select
        forms.source_system,
        forms.source_record_id,
        forms.load_id,
        forms.loaded_at,
        coalesce(contacts.surviving_contact_id, forms.contact_id) as contact_id,
        forms.form_name,
        {{ url_without_query("forms.page_url") }} as page_url,
        forms.submitted_at
    from {{ ref("stg_hubspot__form_submissions") }} as forms
    left join {{ ref("int_contacts_matched") }} as contacts
        on
            forms.source_system = contacts.source_system
            and forms.contact_id = contacts.contact_id
            and contacts.record_type = 'contact'
    where not forms.is_deleted and forms.contact_id is not null and forms.submitted_at is not null
)

select
    forms.source_system,
    forms.source_record_id,
    forms.load_id,
    forms.loaded_at,
    forms.contact_id,
    case
        when
            visits.channel <> 'internal'
            and max(visits.visited_at) over (partition by forms.source_record_id)
            >= {{ dbt.dateadd("minute", -minutes_from_visit_to_form, "forms.submitted_at") }}
            then visits.channel
        else 'direct'
    end as channel,
    forms.form_name,
    forms.page_url,
    forms.submitted_at,
    {{ audit_columns() }}
from forms
-- A page that the same site led to (`internal`) goes on with a visit: what brought the visit is what brought the form.
left join {{ ref("int_visits_resolved") }} as visits
    on
        forms.contact_id = visits.contact_id
        and forms.submitted_at >= visits.visited_at
        and {{ dbt.dateadd("hour", -hours_of_visit, "forms.submitted_at") }} <= visits.visited_at
{{ top_n_by(
    ["forms.source_record_id"],
    [
        "case when visits.channel = 'internal' then 1 else 0 end",
        "visits.visited_at desc nulls last",
        "visits.source_record_id desc nulls last",
    ],
) }}
