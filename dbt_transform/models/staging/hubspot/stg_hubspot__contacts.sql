select * exclude (failed_checks, failed_row)
from {{ ref("base_hubspot__contacts") }}
where failed_checks = ''
