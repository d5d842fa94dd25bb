select * exclude (raw_row, failed_checks)
from {{ ref("base_hubspot__deals") }}
where failed_checks = ''
