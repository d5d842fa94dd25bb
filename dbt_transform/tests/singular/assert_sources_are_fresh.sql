{# A source without a load within source_max_age_hours: its scores would rest on old data. #}
select
    message,
    source,
    source_table,
    load_id,
    loaded_at,
    measured
from {{ ref("fct_source_checks") }}
where check_name = 'freshness' and outcome = 'fail'
