select * exclude (raw_row, failed_checks)
from {{ ref("base_salesforce__contacts") }}
where failed_checks = ''
