select
    account_id,
    factor,
    component,
    value_text as value,
    points,
    max_points,
    explanation,
    {{ audit_columns() }}
from {{ ref("int_account_factors") }}
