with owners as (
    -- Who has left is archived, which HubSpot shows as deleted; what they won stays theirs.
    select
        source_system,
        owner_id,
        coalesce(nullif(trim(coalesce(first_name, '') || ' ' || coalesce(last_name, '')), ''), email) as owner_name
    from {{ ref("stg_hubspot__owners") }}
    where not is_deleted or is_archived
    union all
    select
        source_system,
        user_id as owner_id,
        coalesce(full_name, email) as owner_name
    from {{ ref("stg_salesforce__users") }}
    where not is_deleted
)

select
    source_system,
    owner_id,
    owner_name,
    {{ audit_columns() }}
from owners
where owner_name is not null
