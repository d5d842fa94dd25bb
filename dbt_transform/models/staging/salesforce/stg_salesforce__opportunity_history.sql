select * exclude (raw_row, failed_checks)
from {{ ref("base_salesforce__opportunity_history") }}
where failed_checks = ''
