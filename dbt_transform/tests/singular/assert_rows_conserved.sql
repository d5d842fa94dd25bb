{# Nothing lost, nothing doubled: for each RAW table, rows in staging + distinct rows in quarantine = rows in RAW. #}
with counted as (
    {%- for source_system, tables in fromjson(staged_tables()).items() %}
    {%- set last_source = loop.last %}
    {%- for table in tables %}
    select
        '{{ source_system }}_{{ table }}' as source_table,
        (select count(*) from {{ landed_table(source_system ~ "_" ~ table) }}) as raw_rows,
        (select count(*) from {{ ref("stg_" ~ source_system ~ "__" ~ table) }}) as staged_rows,
        (
            select count(distinct source_system || '|' || source_record_id) from {{ ref("quarantine_rows") }}
            where source_table = '{{ source_system }}_{{ table }}'
        ) as quarantined_rows
    {{ "union all" if not (loop.last and last_source) }}
    {%- endfor %}
    {%- endfor %}
)

select
    counted.*,
    source_table || ' has ' || cast(raw_rows as varchar) || ' rows in RAW, but ' || cast(staged_rows as varchar)
    || ' in staging and ' || cast(quarantined_rows as varchar)
    || ' in quarantine. If rows were taken out of RAW by hand, build again with full_refresh.' as message
from counted
where staged_rows + quarantined_rows <> raw_rows
