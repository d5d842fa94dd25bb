{{ config(materialized="view") }}

with people as (
    select
        source_system,
        record_type,
        contact_id as record_id,
        surviving_contact_id as contact_id,
        person_id,
        account_id,
        case when contact_id = surviving_contact_id then 0 else 1 end as is_merged
    from {{ ref("int_contacts_matched") }}
    where account_id is not null
),

-- Email events know an address only. HubSpot sends the mail, so its own contact comes first; the address of a record
-- that was merged away speaks for the one that it became, after all that live. People are live or merged: none is gone.
addresses as (
    select
        email,
        source_system,
        'contact' as record_type,
        contact_id,
        1 as precedence
    from {{ ref("stg_hubspot__contacts") }}
    where email is not null
    union all
    select
        email,
        source_system,
        'contact' as record_type,
        contact_id,
        2 as precedence
    from {{ ref("stg_salesforce__contacts") }}
    where email is not null
    union all
    select
        email,
        source_system,
        'lead' as record_type,
        lead_id as contact_id,
        3 as precedence
    from {{ ref("stg_salesforce__leads") }}
    where email is not null
),

people_by_email as (
    select
        addresses.email,
        people.contact_id,
        people.person_id,
        people.account_id
    from addresses
    inner join people
        on
            addresses.source_system = people.source_system
            and addresses.record_type = people.record_type
            and addresses.contact_id = people.record_id
    {{ top_n_by(["addresses.email"], ["people.is_merged", "addresses.precedence", "people.record_id"]) }}
),

touches as (
    select
        'web_visit' as touch_type,
        people.account_id,
        people.person_id,
        people.contact_id,
        visits.channel,
        visits.campaign,
        visits.page_url,
        visits.is_high_intent,
        visits.visited_at as touched_at,
        visits.source_system,
        visits.source_record_id,
        visits.load_id,
        visits.loaded_at
    from {{ ref("int_visits_resolved") }} as visits
    inner join people
        on
            people.source_system = 'hubspot'
            and people.record_type = 'contact'
            and visits.contact_id = people.record_id
    union all
    select
        'form_submission' as touch_type,
        people.account_id,
        people.person_id,
        people.contact_id,
        forms.channel,
        forms.form_name as campaign,
        forms.page_url,
        {{ is_high_intent("forms.page_url") }} as is_high_intent,
        forms.submitted_at as touched_at,
        forms.source_system,
        forms.source_record_id,
        forms.load_id,
        forms.loaded_at
    from {{ ref("int_forms_resolved") }} as forms
    inner join people
        on
            people.source_system = 'hubspot'
            and people.record_type = 'contact'
            and forms.contact_id = people.record_id
    union all
    -- Security software opens every link of a mail: HubSpot marks such clicks as filtered.
    select
        'email_click' as touch_type,
        people_by_email.account_id,
        people_by_email.person_id,
        people_by_email.contact_id,
        'email' as channel,
        campaigns.campaign_name as campaign,
        cast(null as varchar) as page_url,
        false as is_high_intent,
        events.occurred_at as touched_at,
        events.source_system,
        events.source_record_id,
        events.load_id,
        events.loaded_at
    from {{ ref("stg_hubspot__email_events") }} as events
    inner join people_by_email on events.recipient_email = people_by_email.email
    left join {{ ref("stg_hubspot__email_campaigns") }} as campaigns
        on events.email_campaign_id = campaigns.email_campaign_id
    where
        not events.is_deleted and events.event_type = 'click' and not coalesce(events.is_filtered, false)
        and events.occurred_at is not null
    union all
    select
        'campaign_response' as touch_type,
        people.account_id,
        people.person_id,
        people.contact_id,
        {{ to_campaign_channel("campaigns.campaign_type") }} as channel,
        campaigns.campaign_name as campaign,
        cast(null as varchar) as page_url,
        false as is_high_intent,
        members.responded_at as touched_at,
        members.source_system,
        members.source_record_id,
        members.load_id,
        members.loaded_at
    from {{ ref("stg_salesforce__campaign_members") }} as members
    -- A converted lead's member names both: the contact lives on.
    inner join people
        on
            members.source_system = people.source_system
            and people.record_type = case when members.contact_id is null then 'lead' else 'contact' end
            and coalesce(members.contact_id, members.lead_id) = people.record_id
    left join {{ ref("stg_salesforce__campaigns") }} as campaigns on members.campaign_id = campaigns.campaign_id
    where not members.is_deleted and members.responded_at is not null
)

select
    source_system || ':' || touch_type || ':' || source_record_id as touchpoint_id,
    touch_type,
    account_id,
    person_id,
    contact_id,
    channel,
    campaign,
    page_url,
    is_high_intent,
    touched_at,
    source_system,
    source_record_id,
    load_id,
    loaded_at
from touches
