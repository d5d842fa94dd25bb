{{ config(materialized="table", access="private") }}

select
    load_id,
    source,
    source_system,
    source_table,
    mode,
    is_complete,
    is_baseline,
    seen,
    inserted,
    updated,
    unchanged,
    duplicates,
    rejected,
    deleted,
    loaded_at,
    {{ audit_columns() }}
from {{ landed_table("loads") }}
