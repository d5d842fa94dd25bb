{{ passed_rows("base_hubspot__owners") }}
