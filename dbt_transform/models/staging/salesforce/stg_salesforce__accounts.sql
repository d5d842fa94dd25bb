select * exclude (failed_checks, failed_row)
from {{ ref("base_salesforce__accounts") }}
where failed_checks = ''
