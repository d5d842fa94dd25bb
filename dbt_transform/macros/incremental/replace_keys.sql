{#
    Incremental strategy `replace_keys`: the model's rows replace all rows of the table with the same unique key. A key may
    stand for many rows, and may end with none: a row whose dbt_run_id is null (a tombstone) only deletes.

    All or nothing, by whatever ends it. DuckDB: dbt opens one transaction around the model, and rolls it back. Snowflake
    commits each statement by itself, and dbt sends no rollback there: after an insert that failed, a delete before it in one
    transaction would be committed by the session's next `create`. So there it is one statement.
#}
{% macro get_incremental_replace_keys_sql(arg_dict) -%}
    {%- set unique_key = arg_dict["unique_key"] -%}
    {%- set keys = [unique_key] if unique_key is string else unique_key -%}
    {%- set columns = arg_dict["dest_columns"] | map(attribute="name") | list -%}
    {{ return(
        adapter.dispatch("replace_keys_sql")(arg_dict["target_relation"], arg_dict["temp_relation"], keys, columns)
    ) }}
{%- endmacro %}


{#
    In one MERGE: a row that names a changed key meets the stored rows of that key, which go; a new row meets none, and is
    inserted. Each stored row meets one row at most, since the keys are distinct.
#}
{% macro default__replace_keys_sql(target, temp, keys, columns) -%}
    {%- set key_names = keys | map("lower") | list -%}
    merge into {{ target }} as stored
    using (
        select
            {{ columns | join(", ") }},
            1 as is_new_row
        from {{ temp }}
        where dbt_run_id is not null
        union all
        select distinct
            {%- for column in columns %}
            {{ column if column | lower in key_names else "null" }} as {{ column }},
            {%- endfor %}
            0 as is_new_row
        from {{ temp }}
    ) as changed
        on
            changed.is_new_row = 0
            {%- for key in keys %}
            and stored.{{ key }} = changed.{{ key }}
            {%- endfor %}
    when matched then delete
    when not matched and changed.is_new_row = 1 then
        insert ({{ columns | join(", ") }})
        values ({% for column in columns %}changed.{{ column }}{{ ", " if not loop.last }}{% endfor %})
{%- endmacro %}


{% macro duckdb__replace_keys_sql(target, temp, keys, columns) -%}
    delete from {{ target }} as stored
    using (select distinct {{ keys | join(", ") }} from {{ temp }}) as changed
    where
        {%- for key in keys %}
        stored.{{ key }} = changed.{{ key }}{{ " and" if not loop.last }}
        {%- endfor %}
    ;
    insert into {{ target }} ({{ columns | join(", ") }})
    select {{ columns | join(", ") }} from {{ temp }}
    where dbt_run_id is not null
{%- endmacro %}
