select * exclude (failed_checks, failed_row)
from {{ ref("base_hubspot__web_visits") }}
where failed_checks = ''
