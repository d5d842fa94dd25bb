{{ passed_rows("base_hubspot__deal_stage_history") }}
