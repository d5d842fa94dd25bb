{{ quarantined_rows("hubspot") }}
