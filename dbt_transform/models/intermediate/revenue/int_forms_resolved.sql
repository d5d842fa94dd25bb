{#- A form is sent from a page that a visit has led to: the visit's channel, if it began so recently. -#}
{%- set minutes_from_visit_to_form = 30 -%}

select
    forms.source_system,
    forms.source_record_id,
    forms.load_id,
    forms.loaded_at,
    forms.contact_id,
    coalesce(visits.channel, 'direct') as channel,
    forms.form_name,
    forms.page_url,
    forms.submitted_at,
    {{ audit_columns() }}
from {{ ref("stg_hubspot__form_submissions") }} as forms
left join {{ ref("int_visits_resolved") }} as visits
    on
        forms.contact_id = visits.contact_id
        and forms.submitted_at >= visits.visited_at
        and {{ dbt.dateadd("minute", -minutes_from_visit_to_form, "forms.submitted_at") }} <= visits.visited_at
where not forms.is_deleted and forms.contact_id is not null and forms.submitted_at is not null
{{ top_n_by(
    ["forms.source_record_id"],
    ["visits.visited_at desc nulls last", "visits.source_record_id desc nulls last"],
) }}
