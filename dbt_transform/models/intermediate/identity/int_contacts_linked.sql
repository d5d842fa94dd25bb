{#- Links that one person's records can be apart for certain; each round also jumps over what was reached before. -#}
{%- set rounds = 6 -%}

with merges as (
    select * from {{ ref("int_records_merged") }}
    where object_type in ('contact', 'lead')
),

records as (
    select
        1 as precedence,
        source_system,
        'contact' as record_type,
        contact_id,
        email,
        salesforce_contact_id,
        salesforce_lead_id,
        is_deleted,
        created_at
    from {{ ref("stg_hubspot__contacts") }}
    union all
    select
        2 as precedence,
        source_system,
        'contact' as record_type,
        contact_id,
        email,
        cast(null as varchar) as salesforce_contact_id,
        cast(null as varchar) as salesforce_lead_id,
        is_deleted,
        created_at
    from {{ ref("stg_salesforce__contacts") }}
    union all
    select
        3 as precedence,
        source_system,
        'lead' as record_type,
        lead_id as contact_id,
        email,
        converted_contact_id as salesforce_contact_id,
        cast(null as varchar) as salesforce_lead_id,
        is_deleted,
        created_at
    from {{ ref("stg_salesforce__leads") }}
),

-- A merged record speaks for its survivor, also when its row is deleted.
known_records as (
    select
        records.*,
        merges.merged_record_id is not null as is_merged,
        records.source_system
        || ':' || records.record_type
        || ':' || coalesce(merges.surviving_record_id, records.contact_id) as record_key
    from records
    left join merges
        on
            records.source_system = merges.source_system
            and records.record_type = merges.object_type
            and records.contact_id = merges.merged_record_id
    where merges.merged_record_id is not null or not records.is_deleted
),

live_records as (
    select * from known_records
    where not is_merged
),

namings as (
    select
        record_key,
        'contact' as named_type,
        salesforce_contact_id as named_record_id
    from known_records
    where salesforce_contact_id is not null
    union all
    select
        record_key,
        'lead' as named_type,
        salesforce_lead_id as named_record_id
    from known_records
    where salesforce_lead_id is not null
),

-- Records that share a link are one person. An id links only where its record is live, so that no dead or made-up id
-- gathers strangers.
links as (
    select
        record_key,
        'email:' || email as link
    from known_records
    where email is not null
    union distinct
    select
        record_key,
        record_key as link
    from live_records
    union distinct
    select
        namings.record_key,
        named_records.record_key as link
    from namings
    left join merges
        on
            merges.source_system = 'salesforce'
            and namings.named_type = merges.object_type
            and namings.named_record_id = merges.merged_record_id
    inner join live_records as named_records
        on
            'salesforce:' || namings.named_type
            || ':' || coalesce(merges.surviving_record_id, namings.named_record_id) = named_records.record_key
),

shared_links as (
    select * from links
    qualify count(*) over (partition by link) > 1
),

persons_0 as (
    select distinct
        record_key,
        record_key as person_key
    from shared_links
),

-- Each round, a record takes the lowest person among the records that it shares a link with, then that record's own.
{%- for round in range(1, rounds + 1) %}
link_persons_{{ round }} as (
    select
        shared_links.link,
        min(persons.person_key) as person_key
    from shared_links
    inner join persons_{{ round - 1 }} as persons on shared_links.record_key = persons.record_key
    group by shared_links.link
),

joined_persons_{{ round }} as (
    select
        shared_links.record_key,
        min(link_persons.person_key) as person_key
    from shared_links
    inner join link_persons_{{ round }} as link_persons on shared_links.link = link_persons.link
    group by shared_links.record_key
),

persons_{{ round }} as (
    select
        joined.record_key,
        lowest.person_key
    from joined_persons_{{ round }} as joined
    inner join joined_persons_{{ round }} as lowest on joined.person_key = lowest.record_key
),
{%- endfor %}

person_records as (
    select
        known_records.*,
        coalesce(persons.person_key, known_records.record_key) as person_key
    from known_records
    left join persons_{{ rounds }} as persons on known_records.record_key = persons.record_key
),

-- Named after its oldest address, so that a newer record that joins renames nobody; else after its oldest record.
person_names as (
    select
        person_key,
        -- Hashed, since an id travels into logs and errors and an address must not.
        md5(coalesce(email, source_system || ':' || contact_id)) as person_id
    from person_records
    {{ top_n_by(
        ["person_key"],
        [
            "case when email is null then 1 else 0 end", "created_at nulls last", "precedence", "contact_id",
        ],
    ) }}
),

record_persons as (
    select
        source_system,
        record_type,
        contact_id,
        contact_id as surviving_contact_id,
        record_key
    from live_records
    union all
    select
        source_system,
        object_type as record_type,
        merged_record_id as contact_id,
        surviving_record_id as surviving_contact_id,
        source_system || ':' || object_type || ':' || surviving_record_id as record_key
    from merges
)

select
    record_persons.source_system,
    record_persons.record_type,
    record_persons.contact_id,
    record_persons.surviving_contact_id,
    person_names.person_id,
    {{ audit_columns() }}
from record_persons
inner join live_records on record_persons.record_key = live_records.record_key
left join persons_{{ rounds }} as persons on record_persons.record_key = persons.record_key
inner join person_names on coalesce(persons.person_key, record_persons.record_key) = person_names.person_key
