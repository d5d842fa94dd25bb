{#
    The removal effect of every marketing channel by a first-order Markov chain: how much less likely a path ends in a
    won opportunity when all that leads through the channel is lost instead (Anderl, Becker, von Wangenheim and Schumann,
    "Mapping the customer journey", International Journal of Research in Marketing 33, 2016).

    One wide row is one chain: `<from>_to_<to>` is the weight of the step, from `start` and the channels to the channels,
    `won` and `lost`. Steps from a state to itself are left out; they delay the end and change nothing else. A state is
    eliminated by leading its ways in straight to its ways out, in their shares (Grassmann, Taskar and Heyman, Operations
    Research 33, 1985: nothing is subtracted, so nothing cancels). After the last channel only `start` to `won` or `lost`
    is left. The steps of two states need no common scale, so counts serve as they are.
#}

{# Counts of `transitions` (origin, target, steps) as columns of one row a group. #}
{% macro markov_counts(channels) -%}
    {%- for origin in ["start"] + channels %}
    {%- for target in channels + ["won", "lost"] if target != origin %},
    cast(sum(
        case when transitions.origin = '{{ origin }}' and transitions.target = '{{ target }}' then transitions.steps else 0 end
    ) as double) as {{ origin }}_to_{{ target }}
    {%- endfor %}
    {%- endfor %}
{%- endmacro %}


{# The chain's columns once for each scenario `removed`: ways into the removed channel lead to `lost`. #}
{% macro markov_removals(channels) -%}
    {%- for origin in ["start"] + channels %}
    {%- for target in channels if target != origin %},
    case when removed = '{{ target }}' then 0 else {{ origin }}_to_{{ target }} end as {{ origin }}_to_{{ target }}
    {%- endfor %},
    {{ origin }}_to_won,
    {{ origin }}_to_lost + case removed
        {%- for channel in channels if channel != origin %}
        when '{{ channel }}' then {{ origin }}_to_{{ channel }}
        {%- endfor %}
        else 0
    end as {{ origin }}_to_lost
    {%- endfor %}
{%- endmacro %}


{# Common table expressions `eliminated_1` to `eliminated_n`, one for each channel; `keys` are carried along. #}
{% macro markov_eliminations(channels, relation, keys) -%}
    {%- set read_from = namespace(name=relation) -%}
    {%- for channel in channels %}
    {%- set left = channels[loop.index:] -%}
    {%- set origins = ["start"] + left %}
    shares_{{ loop.index }} as (
        select
            {{ read_from.name }}.*,
            {%- for origin in origins %}
            coalesce(
                {{ origin }}_to_{{ channel }}
                / nullif({% for target in left + ["won", "lost"] %}{{ channel }}_to_{{ target }}{{ " + " if not loop.last }}{% endfor %}, 0),
                0
            ) as {{ origin }}_share{{ "," if not loop.last }}
            {%- endfor %}
        from {{ read_from.name }}
    ),

    eliminated_{{ loop.index }} as (
        select
            {{ keys | join(", ") }},
            {%- for origin in origins %}
            {%- set is_last_origin = loop.last -%}
            {%- for target in left + ["won", "lost"] if target != origin %}
            {{ origin }}_to_{{ target }} + {{ origin }}_share * {{ channel }}_to_{{ target }} as {{ origin }}_to_{{ target }}
            {{- "," if not (loop.last and is_last_origin) }}
            {%- endfor %}
            {%- endfor %}
        from shares_{{ loop.index }}
    ){{ "," if not loop.last }}
    {%- set read_from.name = "eliminated_" ~ loop.index %}
    {% endfor %}
{%- endmacro %}
