select * exclude (raw_row, failed_checks)
from {{ ref("base_hubspot__companies") }}
where failed_checks = ''
