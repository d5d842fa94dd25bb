select * exclude (failed_checks, failed_row)
from {{ ref("base_hubspot__companies") }}
where failed_checks = ''
