with merges as (
    select * from {{ ref("int_records_merged") }}
    where object_type = 'account'
),

records as (
    select
        source_system,
        company_id as source_record_id,
        company_name,
        domain,
        country,
        created_at
    from {{ ref("stg_hubspot__companies") }}
    where not is_deleted
    union all
    select
        source_system,
        salesforce_account_id as source_record_id,
        company_name,
        domain,
        country,
        created_at
    from {{ ref("stg_salesforce__accounts") }}
    where not is_deleted
),

live_records as (
    select
        records.source_system || ':' || records.source_record_id as record_key,
        records.source_system,
        records.source_record_id,
        case when {{ is_free_mail_domain("records.domain") }} then null else records.domain end as domain,
        {{ normalized_name("records.company_name") }} as normalized_name,
        records.country,
        records.created_at
    from records
    left join merges
        on records.source_system = merges.source_system and records.source_record_id = merges.merged_record_id
    where merges.merged_record_id is null
),

addresses as (
    select
        source_system,
        company_id as account_record_id,
        email_domain
    from {{ ref("stg_hubspot__contacts") }}
    where not is_deleted and company_id is not null and email_domain is not null
    union all
    select
        source_system,
        salesforce_account_id as account_record_id,
        email_domain
    from {{ ref("stg_salesforce__contacts") }}
    where not is_deleted and salesforce_account_id is not null and email_domain is not null
),

addresses_by_domain as (
    select
        addresses.source_system
        || ':' || coalesce(merges.surviving_record_id, addresses.account_record_id) as record_key,
        addresses.email_domain,
        count(*) as addresses
    from addresses
    left join merges
        on
            addresses.source_system = merges.source_system
            and addresses.account_record_id = merges.merged_record_id
    where not {{ is_free_mail_domain("addresses.email_domain") }}
    group by 1, 2
),

-- More than half of the corporate addresses: two domains can't both have that, a tie is no answer.
email_domains as (
    select
        record_key,
        email_domain
    from addresses_by_domain
    qualify addresses * 2 > sum(addresses) over (partition by record_key)
)

select
    live_records.record_key,
    live_records.source_system,
    live_records.source_record_id,
    live_records.domain,
    email_domains.email_domain,
    live_records.normalized_name,
    -- How many live records of the same CRM go by that name.
    count(*) over (partition by live_records.source_system, live_records.normalized_name) as namesakes,
    live_records.country,
    live_records.created_at,
    {{ audit_columns() }}
from live_records
left join email_domains on live_records.record_key = email_domains.record_key
