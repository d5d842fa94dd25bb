{{ passed_rows("base_salesforce__opportunity_contact_roles") }}
