{{ passed_rows("base_hubspot__form_submissions") }}
