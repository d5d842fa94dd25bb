{{ quarantined_rows("billing") }}
