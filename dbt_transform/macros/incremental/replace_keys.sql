{#
    Incremental strategy `replace_keys`: the model's rows replace all rows of the table with the same unique key. A key may
    stand for many rows, and may end with none: a row whose dbt_run_id is null (a tombstone) only deletes.

    DuckDB: dbt opens one transaction around the model; a build that is killed leaves the table as it was, and the next
    one finds the same work again. Snowflake: the rows are in a temporary table before the transaction begins, and both
    statements are inside it; a session that dies is rolled back by the server.
#}
{% macro get_incremental_replace_keys_sql(arg_dict) -%}
    {%- set unique_key = arg_dict["unique_key"] -%}
    {%- set keys = [unique_key] if unique_key is string else unique_key -%}
    {%- set columns = arg_dict["dest_columns"] | map(attribute="name") | join(", ") -%}
    {%- set statements -%}
        delete from {{ arg_dict["target_relation"] }} as stored
        using (select distinct {{ keys | join(", ") }} from {{ arg_dict["temp_relation"] }}) as changed
        where
            {%- for key in keys %}
            stored.{{ key }} = changed.{{ key }}{{ " and" if not loop.last }}
            {%- endfor %}
        ;
        insert into {{ arg_dict["target_relation"] }} ({{ columns }})
        select {{ columns }} from {{ arg_dict["temp_relation"] }}
        where dbt_run_id is not null
    {%- endset -%}
    {{ return(adapter.dispatch("in_one_transaction")(statements)) }}
{%- endmacro %}


{# Snowflake commits every statement by itself unless told otherwise. #}
{% macro default__in_one_transaction(statements) -%}
    {{ return("begin;\n" ~ statements ~ ";\ncommit;") }}
{%- endmacro %}

{% macro duckdb__in_one_transaction(statements) -%}
    {{ return(statements) }}
{%- endmacro %}
