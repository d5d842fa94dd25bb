select * exclude (raw_row, failed_checks)
from {{ ref("base_salesforce__opportunities") }}
where failed_checks = ''
