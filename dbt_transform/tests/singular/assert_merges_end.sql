{# Every merge is followed to its end, also where records were merged in a circle: no survivor is merged away itself. #}
select
    merges.object_type,
    merges.source_system,
    merges.merged_record_id,
    merges.surviving_record_id
from {{ ref("int_records_merged") }} as merges
inner join {{ ref("int_records_merged") }} as later_merges
    on
        merges.object_type = later_merges.object_type
        and merges.source_system = later_merges.source_system
        and merges.surviving_record_id = later_merges.merged_record_id
