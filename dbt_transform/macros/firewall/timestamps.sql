{#
    One repair: a moment in any of the notations below as naive UTC, or null.

    2024-03-05 · 2024/3/5 · 2024-03-05T07:08:09.123Z · 2024-03-05 7:08 · 2024-03-05T07:08:09+02:00
    3/5/2024 · 3/5/2024 7:08:09       month first, as both CRMs export it; 25/12/2024 is no date, we do not guess
    5.3.2024 · 5.3.2024 7:08:09       day first
    1709622489 · 1709622489123        epoch seconds and milliseconds
#}
{% macro parse_timestamp(column) -%}
    {%- set plain = "[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?Z?)?" -%}
    {%- set day = "([0-9]{4}[-/][0-9]{1,2}[-/][0-9]{1,2}|[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}|[0-9]{1,2}[.][0-9]{1,2}[.][0-9]{4})" -%}
    {%- set clock = "([T ]+[0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,9})?)?( ?(Z|UTC|[+-][0-9]{2}:?[0-9]{2}))?)?" -%}
    {%- set whole = "try_cast(split_part(" ~ column ~ ", '.', 1) as bigint)" -%}
    case
        when {{ column }} is null then null
        when {{ matches(column, plain) }}
            then try_cast(replace(replace({{ column }}, 'T', ' '), 'Z', '') as datetime)
        when {{ matches(column, day ~ clock) }} then {{ timestamp_of_notation(column) }}
        when {{ matches(column, "[0-9]{9,10}([.]0+)?") }} then {{ timestamp_of_epoch(whole, 1) }}
        when {{ matches(column, "[0-9]{12,13}([.]0+)?") }} then {{ timestamp_of_epoch(whole, 1000) }}
    end
{%- endmacro %}


{# Step by step to `YYYY-MM-DD HH:MM:SS.ffffff`, then from the zone's time to UTC. #}
{% macro timestamp_of_notation(column) -%}
    {%- set steps = [
        [" ?(Z|UTC|[+-][0-9]{2}:?[0-9]{2})$", ""],
        ["^([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})", "\\3-\\1-\\2"],
        ["^([0-9]{1,2})[.]([0-9]{1,2})[.]([0-9]{4})", "\\3-\\2-\\1"],
        ["^([0-9]{4})/([0-9]{1,2})/", "\\1-\\2-"],
        ["^([0-9]{4})-([0-9])-", "\\1-0\\2-"],
        ["^([0-9]{4}-[0-9]{2})-([0-9])($|[T ])", "\\1-0\\2\\3"],
        ["[T ]+([0-9]):", " 0\\1:"],
        ["[T ]+([0-9]{2}):", " \\1:"],
        [" ([0-9]{2}:[0-9]{2})$", " \\1:00"],
        ["[.,]([0-9]{1,6})[0-9]*$", ".\\1"],
    ] -%}
    {%- set text = namespace(sql=column) -%}
    {%- for pattern, replacement in steps -%}
        {%- set text.sql = replace_pattern(text.sql, pattern, replacement) -%}
    {%- endfor -%}
    {%- set zone = matched_group(column, ".*:[0-9.,]+ ?([+-][0-9]{2}:?[0-9]{2})", 1) -%}
    {%- set sign = "case when " ~ zone ~ " like '-%' then 1 else -1 end" -%}
    {%- set hours = "coalesce(try_cast(substr(" ~ zone ~ ", 2, 2) as integer), 0)" -%}
    {%- set minutes = "coalesce(try_cast(right(" ~ zone ~ ", 2) as integer), 0)" -%}
    {{ dbt.dateadd("minute", "(" ~ sign ~ ") * (" ~ hours ~ " * 60 + " ~ minutes ~ ")", "try_cast(" ~ text.sql ~ " as datetime)") }}
{%- endmacro %}


{# In days, seconds and the rest: DuckDB adds no more than 2^31 of a unit. #}
{% macro timestamp_of_epoch(number, per_second) -%}
    {%- set days = "cast(floor(" ~ number ~ " / " ~ 86400 * per_second ~ ") as integer)" -%}
    {%- set rest = "mod(" ~ number ~ ", " ~ 86400 * per_second ~ ")" -%}
    {{ dbt.dateadd(
        "second" if per_second == 1 else "millisecond",
        rest,
        dbt.dateadd("day", days, "cast('1970-01-01' as timestamp)")
    ) }}
{%- endmacro %}
