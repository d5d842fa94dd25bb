select * exclude (raw_row, failed_checks)
from {{ ref("base_hubspot__web_visits") }}
where failed_checks = ''
