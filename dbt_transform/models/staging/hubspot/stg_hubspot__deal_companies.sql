{{ passed_rows("base_hubspot__deal_companies") }}
