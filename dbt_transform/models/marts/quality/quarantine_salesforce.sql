{{ quarantined_rows("salesforce") }}
