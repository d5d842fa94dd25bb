{{ passed_rows("base_hubspot__pipeline_stages") }}
