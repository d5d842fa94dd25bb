select * exclude (failed_checks, failed_row)
from {{ ref("base_hubspot__deals") }}
where failed_checks = ''
