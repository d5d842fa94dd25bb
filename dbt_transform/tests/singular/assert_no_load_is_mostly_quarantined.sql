{# A load of which more than quarantine_fail_share ended in quarantine: its export has changed. #}
select
    message,
    source,
    source_table,
    load_id,
    loaded_at,
    measured
from {{ ref("fct_source_checks") }}
where check_name = 'quarantine_share' and outcome = 'fail'
