{{ passed_rows("base_hubspot__email_campaigns") }}
