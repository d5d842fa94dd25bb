select * exclude (failed_checks, failed_row)
from {{ ref("base_salesforce__contacts") }}
where failed_checks = ''
