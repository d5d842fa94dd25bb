-- A value falls into one band or word; the fallback takes what no other row takes.
with weighed as (
    select
        factor_values.account_id,
        weights.component,
        factor_values.factor,
        coalesce(factor_values.value_text, 'unknown') as value_text,
        cast(
            case
                when weights.half_life_days is null then weights.points
                else weights.points * power(
                    cast(0.5 as double),
                    cast(factor_values.value_number as double) / cast(weights.half_life_days as double)
                )
            end as decimal(6, 2)
        ) as points,
        weights.max_points,
        replace(
            weights.explanation,
            '{value}',
            case
                when factor_values.value_number >= 1000 then {{ with_thousands("factor_values.value_number") }}
                else replace(coalesce(factor_values.value_text, 'unknown'), '_', ' ')
            end
        ) as explanation
    from {{ ref("int_account_factor_values") }} as factor_values
    inner join {{ ref("int_scoring_weights") }} as weights
        on
            factor_values.factor = weights.factor
            and (
                weights.is_fallback
                or factor_values.value_text = weights.value_text
                or (
                    factor_values.value_number >= weights.from_value
                    and factor_values.value_number < coalesce(weights.to_value, 9999999999999999)
                )
            )
    {{ top_n_by(
        ["factor_values.account_id", "factor_values.factor"],
        ["case when weights.is_fallback then 1 else 0 end", "weights.from_value desc nulls last"],
    ) }}
)

select
    weighed.*,
    {{ audit_columns() }}
from weighed
