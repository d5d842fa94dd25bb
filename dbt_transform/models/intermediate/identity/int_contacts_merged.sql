with creations as (
    select
        source_system,
        'contact' as record_type,
        contact_id,
        created_at
    from {{ ref("stg_hubspot__contacts") }}
    union all
    select
        source_system,
        'contact' as record_type,
        contact_id,
        created_at
    from {{ ref("stg_salesforce__contacts") }}
    union all
    select
        source_system,
        'lead' as record_type,
        lead_id as contact_id,
        created_at
    from {{ ref("stg_salesforce__leads") }}
),

records as (
    select
        matched.person_id,
        matched.source_system,
        matched.record_type,
        matched.contact_id,
        matched.account_id,
        matched.match_method,
        matched.match_confidence,
        creations.created_at
    from {{ ref("int_contacts_matched") }} as matched
    inner join creations
        on
            matched.source_system = creations.source_system
            and matched.record_type = creations.record_type
            and matched.contact_id = creations.contact_id
    where matched.contact_id = matched.surviving_contact_id
),

-- One record of each kind speaks for the person: the oldest.
oldest_records as (
    select * from records
    {{ top_n_by(["person_id", "source_system", "record_type"], ["created_at nulls last", "contact_id"]) }}
),

record_ids as (
    select
        person_id,
        max(case when source_system = 'hubspot' then contact_id end) as hubspot_contact_id,
        max(case when source_system = 'salesforce' and record_type = 'contact' then contact_id end)
            as salesforce_contact_id,
        max(case when record_type = 'lead' then contact_id end) as salesforce_lead_id
    from oldest_records
    group by person_id
),

totals as (
    select
        person_id,
        count(*) as records,
        min(created_at) as created_at
    from records
    group by person_id
),

-- The surest account; of two as sure, HubSpot's before Salesforce's, the older record's before the newer's.
accounts as (
    select
        person_id,
        account_id,
        match_method,
        match_confidence
    from records
    {{ top_n_by(
        ["person_id"],
        [
            "match_confidence desc nulls last", "source_system", "record_type", "created_at nulls last", "contact_id",
        ],
    ) }}
)

select
    record_ids.person_id,
    accounts.account_id,
    accounts.match_method,
    accounts.match_confidence,
    record_ids.hubspot_contact_id,
    record_ids.salesforce_contact_id,
    record_ids.salesforce_lead_id,
    cast(totals.records as integer) as records,
    coalesce(hubspot_contacts.email, salesforce_contacts.email, leads.email) as email,
    case
        when hubspot_contacts.email is not null then hubspot_contacts.email_domain
        when salesforce_contacts.email is not null then salesforce_contacts.email_domain
        else leads.email_domain
    end as email_domain,
    coalesce(hubspot_contacts.first_name, salesforce_contacts.first_name, leads.first_name) as first_name,
    coalesce(hubspot_contacts.last_name, salesforce_contacts.last_name, leads.last_name) as last_name,
    coalesce(hubspot_contacts.job_title, salesforce_contacts.job_title, leads.job_title) as job_title,
    coalesce(hubspot_contacts.phone, salesforce_contacts.phone, leads.phone) as phone,
    coalesce(hubspot_contacts.lifecycle_stage, 'unknown') as lifecycle_stage,
    coalesce(salesforce_contacts.lead_source, leads.lead_source) as lead_source,
    leads.lead_status,
    totals.created_at,
    {{ audit_columns() }}
from record_ids
inner join totals on record_ids.person_id = totals.person_id
inner join accounts on record_ids.person_id = accounts.person_id
left join {{ ref("stg_hubspot__contacts") }} as hubspot_contacts
    on record_ids.hubspot_contact_id = hubspot_contacts.contact_id
left join {{ ref("stg_salesforce__contacts") }} as salesforce_contacts
    on record_ids.salesforce_contact_id = salesforce_contacts.contact_id
left join {{ ref("stg_salesforce__leads") }} as leads on record_ids.salesforce_lead_id = leads.lead_id
