{#
    One repair: a moment in any of the notations below as naive UTC, or null.

    2024-03-05 · 2024/3/5 · 20240305 · 2024-03-05T07:08:09.123Z · 2024-03-05 7:08 · 2024-03-05T07:08:09+02:00
    3/5/2024 · 3-5-2024 7:08:09 · 3/5/2024 7:08 PM   in the source's date_order; what that order can't read is no date
    5.3.2024 · 5.3.2024 7:08:09       day first, always
    1709622489 · 1709622489123        epoch seconds and milliseconds
    45356 · 45356.25                  a spreadsheet's days since 1899-12-30, from 1954 to 2119
#}
{% macro parse_timestamp(column, date_order="mdy") -%}
    {%- set plain = "[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?Z?)?" -%}
    {%- set day = "([0-9]{4}[-/][0-9]{1,2}[-/][0-9]{1,2}|[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}|[0-9]{1,2}-[0-9]{1,2}-[0-9]{4}|[0-9]{1,2}[.][0-9]{1,2}[.][0-9]{4}|[0-9]{8})" -%}
    {%- set second = "(:[0-9]{2}([.,][0-9]{1,9})?)?" -%}
    {%- set time = "([0-9]{1,2}:[0-9]{2}" ~ second ~ "|(0?[1-9]|1[0-2]):[0-9]{2}" ~ second ~ " ?[AaPp][Mm])" -%}
    {%- set clock = "([T ]+" ~ time ~ "( ?(Z|UTC|[+-][0-9]{2}:?[0-9]{2}))?)?" -%}
    {%- set whole = "try_cast(split_part(" ~ column ~ ", '.', 1) as bigint)" -%}
    case
        when {{ column }} is null then null
        when {{ matches(column, plain) }} then {{ timestamp_of_iso(column) }}
        when {{ matches(column, day ~ clock) }} then {{ timestamp_of_notation(column, date_order) }}
        when {{ matches(column, "[0-9]{9,10}([.]0+)?") }} then {{ timestamp_of_epoch(whole, 1) }}
        when {{ matches(column, "[0-9]{12,13}([.]0+)?") }} then {{ timestamp_of_epoch(whole, 1000) }}
        when {{ matches(column, "[2-7][0-9]{4}([.][0-9]+)?") }} then {{ timestamp_of_serial(column) }}
    end
{%- endmacro %}


{# `mdy` or `dmy`: how a source writes 3/5/2024. #}
{% macro date_order(source_system) -%}
    {{ var("date_orders", {}).get(source_system, "mdy") }}
{%- endmacro %}


{# Step by step to `YYYY-MM-DD HH:MM:SS.ffffff`, then from twelve hours to a day's 24 and from the zone's time to UTC. #}
{% macro timestamp_of_notation(column, date_order) -%}
    {%- set steps = [
        ["(:[0-9]{2}([.,][0-9]+)?( ?[AaPp][Mm])?) ?(Z|UTC|[+-][0-9]{2}:?[0-9]{2})$", "\\1"],
        [" ?[AaPp][Mm]$", ""],
        ["^([0-9]{1,2})[/-]([0-9]{1,2})[/-]([0-9]{4})", "\\3-\\2-\\1" if date_order == "dmy" else "\\3-\\1-\\2"],
        ["^([0-9]{1,2})[.]([0-9]{1,2})[.]([0-9]{4})", "\\3-\\2-\\1"],
        ["^([0-9]{4})([0-9]{2})([0-9]{2})($|[T ])", "\\1-\\2-\\3\\4"],
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
    {%- set zone = matched_group(column, ".*:[0-9.,]+ ?([AaPp][Mm])? ?([+-][0-9]{2}:?[0-9]{2})", 2) -%}
    {%- set ahead = "case when " ~ zone ~ " like '-%' then -1 else 1 end" -%}
    {%- set hours = "coalesce(try_cast(substr(" ~ zone ~ ", 2, 2) as integer), 0)" -%}
    {%- set minutes = "coalesce(try_cast(right(" ~ zone ~ ", 2) as integer), 0)" -%}
    {%- set half = "case when lower(" ~ column ~ ") like '%am%' then 0 when lower(" ~ column ~ ") like '%pm%' then 1 end" -%}
    {%- set noon = "case when substr(" ~ text.sql ~ ", 12, 2) = '12' then 1 else 0 end" -%}
    {{ dbt.dateadd(
        "minute",
        "coalesce(" ~ half ~ " - " ~ noon ~ ", 0) * 720 - (" ~ ahead ~ ") * (" ~ hours ~ " * 60 + " ~ minutes ~ ")",
        "try_cast(" ~ text.sql ~ " as datetime)"
    ) }}
{%- endmacro %}


{# In days, seconds and the rest: DuckDB adds no more than 2^31 of a unit. #}
{% macro timestamp_of_epoch(number, per_second) -%}
    {%- set rest = "mod(" ~ number ~ ", " ~ 86400 * per_second ~ ")" -%}
    {#- Without a remainder: Snowflake rounds a quotient to six digits, and the day's last milliseconds up to the next day. -#}
    {%- set days = "cast((" ~ number ~ " - " ~ rest ~ ") / " ~ 86400 * per_second ~ " as integer)" -%}
    {{ dbt.dateadd(
        "second" if per_second == 1 else "millisecond",
        rest,
        dbt.dateadd("day", days, "cast('1970-01-01' as timestamp)")
    ) }}
{%- endmacro %}


{# To the second: a spreadsheet's day has too few digits for more. #}
{% macro timestamp_of_serial(column) -%}
    {%- set seconds = "cast(round(try_cast(" ~ column ~ " as decimal(28, 9)) * 86400) as bigint)" -%}
    {%- set rest = "mod(" ~ seconds ~ ", 86400)" -%}
    {%- set days = "cast((" ~ seconds ~ " - " ~ rest ~ ") / 86400 as integer)" -%}
    {{ dbt.dateadd("second", rest, dbt.dateadd("day", days, "cast('1899-12-30' as timestamp)")) }}
{%- endmacro %}
