{{ passed_rows("base_hubspot__contact_companies") }}
