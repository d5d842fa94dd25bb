with account_records as (
    select * from {{ ref("int_accounts_matched") }}
),

persons as (
    select * from {{ ref("int_contacts_linked") }}
),

records as (
    select
        source_system,
        'contact' as record_type,
        contact_id,
        company_id as account_record_id,
        cast(null as varchar) as converted_account_id,
        cast(null as varchar) as domain,
        email_domain,
        created_at
    from {{ ref("stg_hubspot__contacts") }}
    union all
    select
        source_system,
        'contact' as record_type,
        contact_id,
        salesforce_account_id as account_record_id,
        cast(null as varchar) as converted_account_id,
        cast(null as varchar) as domain,
        email_domain,
        created_at
    from {{ ref("stg_salesforce__contacts") }}
    union all
    select
        source_system,
        'lead' as record_type,
        lead_id as contact_id,
        cast(null as varchar) as account_record_id,
        converted_account_id,
        domain,
        email_domain,
        created_at
    from {{ ref("stg_salesforce__leads") }}
),

account_of_domain as (
    select * from {{ ref("int_domains_owned") }}
),

-- All of the companies that HubSpot associates a contact with, where they are one account.
account_of_associations as (
    select
        associations.source_system,
        associations.contact_id,
        min(companies.account_id) as account_id
    from {{ ref("stg_hubspot__contact_companies") }} as associations
    inner join account_records as companies
        on
            associations.source_system = companies.source_system
            and associations.company_id = companies.source_record_id
    where not associations.is_deleted
    group by associations.source_system, associations.contact_id
    having min(companies.account_id) = max(companies.account_id)
),

live_records as (
    select
        persons.source_system,
        persons.record_type,
        persons.contact_id,
        persons.person_id,
        coalesce(referenced.account_id, associated.account_id) as referenced_account_id,
        converted.account_id as converted_account_id,
        of_domain.account_id as domain_account_id,
        of_email_domain.account_id as email_domain_account_id,
        records.created_at
    from persons
    inner join records
        on
            persons.source_system = records.source_system
            and persons.record_type = records.record_type
            and persons.contact_id = records.contact_id
    left join account_records as referenced
        on
            records.source_system = referenced.source_system
            and records.account_record_id = referenced.source_record_id
    left join account_of_associations as associated
        on
            records.source_system = associated.source_system
            and records.record_type = 'contact'
            and records.contact_id = associated.contact_id
    left join account_records as converted
        on
            records.source_system = converted.source_system
            and records.converted_account_id = converted.source_record_id
    left join account_of_domain as of_domain on records.domain = of_domain.domain
    left join account_of_domain as of_email_domain on records.email_domain = of_email_domain.domain
    where persons.contact_id = persons.surviving_contact_id
),

-- The account that the person's records name, where they name one and the same.
account_of_person as (
    select
        person_id,
        min(coalesce(referenced_account_id, converted_account_id)) as account_id
    from live_records
    group by person_id
    having
        min(coalesce(referenced_account_id, converted_account_id))
        = max(coalesce(referenced_account_id, converted_account_id))
),

live_matches as (
    select
        live_records.source_system,
        live_records.record_type,
        live_records.contact_id,
        coalesce(
            live_records.referenced_account_id,
            live_records.converted_account_id,
            account_of_person.account_id,
            live_records.domain_account_id,
            live_records.email_domain_account_id
        ) as account_id,
        case
            when live_records.referenced_account_id is not null then 'account_reference'
            when live_records.converted_account_id is not null then 'converted_lead'
            when account_of_person.account_id is not null then 'same_person'
            when live_records.domain_account_id is not null then 'domain'
            when live_records.email_domain_account_id is not null then 'email_domain'
            else 'none'
        end as match_method,
        case
            when live_records.referenced_account_id is not null then 1.00
            when live_records.converted_account_id is not null then 0.95
            when account_of_person.account_id is not null then 0.90
            when live_records.domain_account_id is not null then 0.80
            when live_records.email_domain_account_id is not null then 0.70
        end as match_confidence,
        live_records.created_at
    from live_records
    left join account_of_person on live_records.person_id = account_of_person.person_id
)

select
    persons.source_system,
    persons.record_type,
    persons.contact_id,
    persons.surviving_contact_id,
    persons.person_id,
    live_matches.account_id,
    case when persons.contact_id = persons.surviving_contact_id then live_matches.match_method else 'merged' end
        as match_method,
    cast(live_matches.match_confidence as decimal(3, 2)) as match_confidence,
    live_matches.created_at,
    {{ audit_columns() }}
from persons
inner join live_matches
    on
        persons.source_system = live_matches.source_system
        and persons.record_type = live_matches.record_type
        and persons.surviving_contact_id = live_matches.contact_id
