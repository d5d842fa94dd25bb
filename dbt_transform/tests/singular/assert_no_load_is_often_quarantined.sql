{{ config(severity="warn") }}
{# A load of which more than quarantine_warn_share ended in quarantine: the build goes on. #}
select
    message,
    source,
    source_table,
    load_id,
    loaded_at,
    measured
from {{ ref("fct_source_checks") }}
where check_name = 'quarantine_share' and outcome = 'warn'
