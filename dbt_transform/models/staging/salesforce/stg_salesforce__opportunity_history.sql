select * exclude (failed_checks, failed_row)
from {{ ref("base_salesforce__opportunity_history") }}
where failed_checks = ''
