{# A source that gave less than volume_min_share of what it gave before; a person accepts it with accept_volume. #}
select
    message,
    source,
    source_table,
    load_id,
    loaded_at,
    measured
from {{ ref("fct_source_checks") }}
where check_name = 'volume' and outcome = 'fail'
