{{ passed_rows("base_hubspot__web_visits") }}
