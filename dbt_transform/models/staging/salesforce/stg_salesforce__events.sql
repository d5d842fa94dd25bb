{{ passed_rows("base_salesforce__events") }}
