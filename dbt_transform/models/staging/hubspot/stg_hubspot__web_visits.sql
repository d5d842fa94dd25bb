{{ passed_rows("base_hubspot__web_visits", exclude=["logic_version"]) }}
