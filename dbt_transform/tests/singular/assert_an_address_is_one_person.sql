{#
    Live records with one address are one person. It fails where a chain of links is longer than the rounds of
    int_contacts_linked follow: raise `rounds` there.
#}
with addresses as (
    select
        source_system,
        'contact' as record_type,
        contact_id,
        email
    from {{ ref("stg_hubspot__contacts") }}
    where email is not null
    union all
    select
        source_system,
        'contact' as record_type,
        contact_id,
        email
    from {{ ref("stg_salesforce__contacts") }}
    where email is not null
    union all
    select
        source_system,
        'lead' as record_type,
        lead_id as contact_id,
        email
    from {{ ref("stg_salesforce__leads") }}
    where email is not null
)

select
    md5(addresses.email) as hashed_email,
    count(distinct matched.person_id) as persons
from addresses
inner join {{ ref("int_contacts_matched") }} as matched
    on
        addresses.source_system = matched.source_system
        and addresses.record_type = matched.record_type
        and addresses.contact_id = matched.contact_id
group by md5(addresses.email)
having count(distinct matched.person_id) > 1
