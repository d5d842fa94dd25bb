{#
    The share of `whole` that belongs to the last `parts` of `so_far`: the difference of two running shares, each rounded
    down. All of them together are the whole, whatever the rounding, and each is off by less than one.
#}
{% macro running_share(whole, parts, so_far, total) -%}
    {{ whole_share(whole, so_far, total) }} - {{ whole_share(whole, so_far ~ " - " ~ parts, total) }}
{%- endmacro %}


{# Attribution weights are counted in whole 10^-12, since sums of doubles depend on their order. #}
{% macro weight_units() -%}
    1000000000000
{%- endmacro %}


{# Exact on both engines: a product of decimals, where a division would go by way of doubles or lose digits. #}
{% macro units_to_weight(units) -%}
    cast(cast({{ units }} as decimal(18, 0)) * cast(0.000000000001 as decimal(13, 12)) as decimal(18, 12))
{%- endmacro %}


{% macro cents_to_money(cents) -%}
    cast(cast({{ cents }} as decimal(18, 0)) * cast(0.01 as decimal(3, 2)) as decimal(18, 2))
{%- endmacro %}


{# For each attribution model its column `<model>_<name>` of `relation`. #}
{% macro of_model(relation, name) -%}
    case models.attribution_model
        {%- for model in attribution_models().split(",") %}
        when '{{ model }}' then {{ relation }}.{{ model }}_{{ name }}
        {%- endfor %}
    end
{%- endmacro %}


{# For each attribution model the parts until this touch, and all parts of the opportunity. #}
{% macro running_parts() -%}
    {%- for model in attribution_models().split(",") %},
    sum({{ model }}_parts) over (
        partition by opportunity_id order by touch_number rows between unbounded preceding and current row
    ) as {{ model }}_so_far,
    sum({{ model }}_parts) over (partition by opportunity_id) as {{ model }}_all
    {%- endfor %}
{%- endmacro %}
