select * exclude (failed_checks, failed_row)
from {{ ref("base_salesforce__opportunities") }}
where failed_checks = ''
