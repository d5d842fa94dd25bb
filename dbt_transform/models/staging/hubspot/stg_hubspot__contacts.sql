select * exclude (raw_row, failed_checks)
from {{ ref("base_hubspot__contacts") }}
where failed_checks = ''
