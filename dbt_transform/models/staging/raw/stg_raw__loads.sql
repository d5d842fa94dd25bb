select * from {{ ref("base_raw__loads") }}
