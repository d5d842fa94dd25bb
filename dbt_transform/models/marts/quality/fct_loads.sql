{{ config(materialized="table") }}

{#-
    The quarantined share is of all that the load brought, since later loads take over the rows that were mended or changed
    and leave the bad ones behind: of those alone, a healthy load of last month would one day be all quarantine.

    Deleted rows count on neither side: a bad record that was deleted in the source is mended, and a thousand deletions must
    not hide a bad export.

    A load that changed nothing has no row in RAW; a row of RAW always has its load in raw.loads.
-#}
{%- set inserted_and_updated = "coalesce(loads.inserted, 0) + coalesce(loads.updated, 0)" -%}
{%- set rows_brought = "greatest(coalesce(raw_rows.live_rows_now, 0), " ~ inserted_and_updated ~ ")" %}

with raw_rows as (
    {%- for source_system, tables in fromjson(staged_tables()).items() %}
    {%- set last_source = loop.last %}
    {%- for table in tables %}
    select
        load_id,
        '{{ source_system }}_{{ table }}' as source_table,
        count(*) as rows_now,
        sum(case when is_deleted then 0 else 1 end) as live_rows_now,
        sum(case when failed_checks <> '' and not is_deleted then 1 else 0 end) as quarantined_rows
    from {{ ref("base_" ~ source_system ~ "__" ~ table) }}
    group by load_id
    {{ "union all" if not (loop.last and last_source) }}
    {%- endfor %}
    {%- endfor %}
)

select
    loads.load_id,
    loads.source,
    loads.source_system,
    loads.source_table,
    loads.mode,
    loads.is_complete,
    loads.is_baseline,
    cast(loads.seen as bigint) as seen,
    cast(loads.inserted as bigint) as inserted,
    cast(loads.updated as bigint) as updated,
    cast(loads.unchanged as bigint) as unchanged,
    cast(loads.duplicates as bigint) as duplicates,
    cast(loads.rejected as bigint) as rejected,
    cast({{ rows_brought }} as bigint) as rows_brought,
    cast(coalesce(raw_rows.rows_now, 0) as bigint) as rows_now,
    cast(coalesce(raw_rows.quarantined_rows, 0) as bigint) as quarantined_rows,
    cast(
        case
            when raw_rows.live_rows_now > 0 then cast(raw_rows.quarantined_rows as decimal(18, 6)) / {{ rows_brought }}
            else 0
        end as decimal(9, 6)
    ) as quarantined_share,
    cast(loads.loaded_at as timestamp) as loaded_at,
    cast(loads.deleted as bigint) as deleted,
    cast(coalesce(raw_rows.live_rows_now, 0) as bigint) as live_rows_now,
    {{ audit_columns() }}
from {{ ref("stg_raw__loads") }} as loads
left join raw_rows on loads.load_id = raw_rows.load_id and loads.source_table = raw_rows.source_table
