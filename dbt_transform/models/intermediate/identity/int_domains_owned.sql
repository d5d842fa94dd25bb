-- Every domain that a record of the account has, merged ones included.
with account_domains as (
    select
        source_system,
        company_id as source_record_id,
        domain
    from {{ ref("stg_hubspot__companies") }}
    where domain is not null
    union all
    select
        source_system,
        salesforce_account_id as source_record_id,
        domain
    from {{ ref("stg_salesforce__accounts") }}
    where domain is not null
)

-- A domain stands for one account only: the oldest whose own it is, before one that has it from a merged record.
select
    account_domains.domain,
    accounts.account_id,
    {{ audit_columns() }}
from account_domains
inner join {{ ref("int_accounts_matched") }} as account_records
    on
        account_domains.source_system = account_records.source_system
        and account_domains.source_record_id = account_records.source_record_id
inner join {{ ref("int_accounts_merged") }} as accounts on account_records.account_id = accounts.account_id
where not {{ is_free_mail_domain("account_domains.domain") }}
{{ top_n_by(
    ["account_domains.domain"],
    [
        "case when account_records.match_method = 'merged' then 1 else 0 end",
        "accounts.created_at nulls last",
        "accounts.account_id",
    ],
) }}
