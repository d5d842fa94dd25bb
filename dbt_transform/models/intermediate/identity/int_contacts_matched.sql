with contacts as (
    select
        source_system,
        contact_id,
        email,
        email_domain,
        company_id as account_record_id
    from {{ ref("stg_hubspot__contacts") }}
    where not is_deleted
    union all
    select
        source_system,
        contact_id,
        email,
        email_domain,
        salesforce_account_id as account_record_id
    from {{ ref("stg_salesforce__contacts") }}
    where not is_deleted
),

-- A domain stands for one account only: the oldest.
account_of_domain as (
    select
        domain,
        account_id
    from {{ ref("int_accounts_merged") }}
    where domain is not null and not {{ is_free_mail_domain("domain") }}
    {{ top_n_by(["domain"], ["created_at nulls last", "account_id"]) }}
)

select
    contacts.source_system,
    contacts.contact_id,
    -- Hashed, since an id travels into logs and errors and an address must not.
    md5(coalesce(contacts.email, contacts.source_system || ':' || contacts.contact_id)) as person_id,
    coalesce(accounts.account_id, account_of_domain.account_id) as account_id,
    {{ audit_columns() }}
from contacts
left join {{ ref("int_accounts_matched") }} as accounts
    on contacts.source_system = accounts.source_system and contacts.account_record_id = accounts.source_record_id
left join account_of_domain on contacts.email_domain = account_of_domain.domain
