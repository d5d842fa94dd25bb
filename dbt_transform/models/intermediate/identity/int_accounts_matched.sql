{#-
    The steps after the external ids: what two records must have in common (`key`), and how sure that makes us. Within a
    key the oldest records are paired with each other, unless the step asks for a key that one record a side has.
-#}
{%- set steps = [
    {
        "key": "domain || ' ' || normalized_name", "method": "domain", "matched_on": "domain",
        "confidence": "0.90",
        "condition": "true",
    },
    {
        "key": "domain", "method": "domain", "matched_on": "domain",
        "confidence": "case when companies.sharers = 1 and accounts.sharers = 1 then 0.90 else 0.70 end",
        "condition": "true",
    },
    {
        "key": "any_domain", "method": "email_domain", "matched_on": "any_domain",
        "confidence": "0.80",
        "condition": "companies.sharers = 1 and accounts.sharers = 1",
    },
    {
        "key": "normalized_name", "method": "name", "matched_on": "normalized_name",
        "confidence": "case when companies.country = accounts.country then 0.70 else 0.60 end",
        "condition": "companies.namesakes = 1 and accounts.namesakes = 1"
            ~ " and coalesce(companies.any_domain = accounts.any_domain, true)"
            ~ " and coalesce(companies.country = accounts.country, true)",
    },
] -%}
{#- A pair that loses a record to a better pair frees its other record for the next round. -#}
{%- set naming_rounds = 3 -%}

with merges as (
    select * from {{ ref("int_records_merged") }}
    where object_type = 'account'
),

records as (
    select
        int_accounts_keyed.*,
        coalesce(domain, email_domain) as any_domain
    from {{ ref("int_accounts_keyed") }} as int_accounts_keyed
),

-- Either CRM may name the other's record.
namings as (
    select
        'hubspot' as naming_system,
        company_id as naming_record_id,
        'salesforce' as named_system,
        salesforce_account_id as named_record_id
    from {{ ref("stg_hubspot__companies") }}
    where salesforce_account_id is not null
    union all
    select
        'salesforce' as naming_system,
        salesforce_account_id as naming_record_id,
        'hubspot' as named_system,
        hubspot_company_id as named_record_id
    from {{ ref("stg_salesforce__accounts") }}
    where hubspot_company_id is not null
),

-- What a merged record names, or is named by, counts for its survivor.
surviving_namings as (
    select
        namings.naming_system,
        namings.naming_system || ':' || coalesce(naming.surviving_record_id, namings.naming_record_id) as naming_key,
        namings.named_system || ':' || coalesce(named.surviving_record_id, namings.named_record_id) as named_key,
        namings.named_record_id
    from namings
    left join merges as naming
        on namings.naming_system = naming.source_system and namings.naming_record_id = naming.merged_record_id
    left join merges as named
        on namings.named_system = named.source_system and namings.named_record_id = named.merged_record_id
),

named_pairs_0 as (
    select
        case
            when surviving_namings.naming_system = 'hubspot' then surviving_namings.naming_key
            else surviving_namings.named_key
        end as company_key,
        case
            when surviving_namings.naming_system = 'hubspot' then surviving_namings.named_key
            else surviving_namings.naming_key
        end as account_key,
        count(distinct surviving_namings.naming_system) as naming_systems,
        count(*) as namings,
        -- Salesforce's id where HubSpot names it, else HubSpot's.
        coalesce(
            min(case when surviving_namings.naming_system = 'hubspot' then surviving_namings.named_record_id end),
            min(surviving_namings.named_record_id)
        ) as matched_on
    from surviving_namings
    inner join records as naming_records on surviving_namings.naming_key = naming_records.record_key
    inner join records as named_records on surviving_namings.named_key = named_records.record_key
    group by 1, 2
),

-- Two that name each other beat one that is named. A pair stands when both sides prefer it, so no record is in two.
{%- for round in range(1, naming_rounds + 1) %}
preferences_{{ round }} as (
    select
        named_pairs_{{ round - 1 }}.*,
        row_number() over (
            partition by company_key order by naming_systems desc, namings desc, account_key asc
        ) as company_choice,
        row_number() over (
            partition by account_key order by naming_systems desc, namings desc, company_key asc
        ) as account_choice
    from named_pairs_{{ round - 1 }}
),

chosen_{{ round }} as (
    select * from preferences_{{ round }}
    where company_choice = 1 and account_choice = 1
),

named_pairs_{{ round }} as (
    select named_pairs_{{ round - 1 }}.*
    from named_pairs_{{ round - 1 }}
    left join chosen_{{ round }} as company_pairs
        on named_pairs_{{ round - 1 }}.company_key = company_pairs.company_key
    left join chosen_{{ round }} as account_pairs
        on named_pairs_{{ round - 1 }}.account_key = account_pairs.account_key
    where company_pairs.company_key is null and account_pairs.account_key is null
),
{%- endfor %}

pairs_0 as (
    {%- for round in range(1, naming_rounds + 1) %}
    select
        company_key,
        account_key,
        'external_id' as match_method,
        case when naming_systems = 2 then 1.00 else 0.95 end as match_confidence,
        matched_on
    from chosen_{{ round }}
    {{ "union all" if not loop.last }}
    {%- endfor %}
),

unmatched_0 as (
    select records.*
    from records
    left join pairs_0 as company_pairs on records.record_key = company_pairs.company_key
    left join pairs_0 as account_pairs on records.record_key = account_pairs.account_key
    where company_pairs.company_key is null and account_pairs.account_key is null
),

{%- for step in steps %}
{%- set number = loop.index %}
candidates_{{ number }} as (
    select
        unmatched_{{ number - 1 }}.*,
        {{ step.key }} as match_key,
        count(*) over (partition by source_system, {{ step.key }}) as sharers,
        row_number() over (
            partition by source_system, {{ step.key }} order by created_at nulls last, source_record_id
        ) as place
    from unmatched_{{ number - 1 }}
    where {{ step.key }} is not null
),

pairs_{{ number }} as (
    select
        companies.record_key as company_key,
        accounts.record_key as account_key,
        '{{ step.method }}' as match_method,
        {{ step.confidence }} as match_confidence,
        companies.{{ step.matched_on }} as matched_on
    from candidates_{{ number }} as companies
    inner join candidates_{{ number }} as accounts
        on companies.match_key = accounts.match_key and companies.place = accounts.place
    where companies.source_system = 'hubspot' and accounts.source_system = 'salesforce' and {{ step.condition }}
),

unmatched_{{ number }} as (
    select unmatched_{{ number - 1 }}.*
    from unmatched_{{ number - 1 }}
    left join pairs_{{ number }} as company_pairs
        on unmatched_{{ number - 1 }}.record_key = company_pairs.company_key
    left join pairs_{{ number }} as account_pairs
        on unmatched_{{ number - 1 }}.record_key = account_pairs.account_key
    where company_pairs.company_key is null and account_pairs.account_key is null
),
{%- endfor %}

live_matches as (
    {%- for number in range(steps | length + 1) %}
    select
        company_key as account_id,
        company_key as record_key,
        match_method,
        match_confidence,
        matched_on
    from pairs_{{ number }}
    union all
    select
        company_key as account_id,
        account_key as record_key,
        match_method,
        match_confidence,
        matched_on
    from pairs_{{ number }}
    union all
    {%- endfor %}
    select
        record_key as account_id,
        record_key,
        'single_source' as match_method,
        1.00 as match_confidence,
        cast(null as varchar) as matched_on
    from unmatched_{{ steps | length }}
),

matches as (
    select
        live_matches.account_id,
        records.source_system,
        records.source_record_id,
        live_matches.match_method,
        live_matches.match_confidence,
        live_matches.matched_on
    from live_matches
    inner join records on live_matches.record_key = records.record_key
    union all
    select
        live_matches.account_id,
        merges.source_system,
        merges.merged_record_id as source_record_id,
        'merged' as match_method,
        1.00 as match_confidence,
        merges.surviving_record_id as matched_on
    from merges
    inner join live_matches
        on live_matches.record_key = merges.source_system || ':' || merges.surviving_record_id
)

select
    account_id,
    source_system,
    source_record_id,
    match_method,
    cast(match_confidence as decimal(3, 2)) as match_confidence,
    matched_on,
    {{ audit_columns() }}
from matches
