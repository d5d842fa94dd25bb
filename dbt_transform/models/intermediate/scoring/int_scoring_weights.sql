{%- set types = {
    "component": "varchar", "factor": "varchar", "value_text": "varchar", "from_value": "decimal(18, 2)",
    "to_value": "decimal(18, 2)", "half_life_days": "decimal(9, 2)", "is_fallback": "boolean",
    "points": "decimal(6, 2)", "max_points": "decimal(6, 2)", "explanation": "varchar",
} -%}
{%- set rows = var("scoring_weights", []) -%}
{%- if execute and not rows -%}
    {{ exceptions.raise_compiler_error(
        "The variable scoring_weights is empty. Start builds through the transform service (`gtm build`): it checks "
        ~ "config/scoring_weights.yml and passes it."
    ) }}
{%- endif -%}

with weights as (
    {{ weights_rows(rows, types) }}
)

select
    weights.*,
    cast('{{ var("weights_version", "unversioned") }}' as varchar) as weights_version,
    {{ audit_columns() }}
from weights
