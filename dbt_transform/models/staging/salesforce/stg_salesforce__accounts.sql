select * exclude (raw_row, failed_checks)
from {{ ref("base_salesforce__accounts") }}
where failed_checks = ''
