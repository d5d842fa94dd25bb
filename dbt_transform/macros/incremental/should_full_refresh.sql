{#
    dbt asks this macro whether an incremental model starts over. Ours does so, too, when the table lacks a column that
    the model now has: after an upgrade nobody remembers --full-refresh, and the comparison with the table could not even
    be asked. A model names the columns that its comparison reads in its config: meta={"compares": [...]}.

    And it does when a row was built by other logic than the model's now, for a model whose every row depends on it:
    meta={"logic_version": "..."} beside a column of that name. A swap of the table costs a third of merging all its rows.
#}
{% macro should_full_refresh() -%}
    {%- set asked = config.get("full_refresh") -%}
    {%- if asked is none -%}{%- set asked = flags.FULL_REFRESH -%}{%- endif -%}
    {%- set meta = config.get("meta") or {} -%}
    {{ return(
        asked or lacks_columns(this, meta.get("compares", [])) or stores_other_logic(this, meta.get("logic_version"))
    ) }}
{%- endmacro %}


{% macro lacks_columns(relation, columns) -%}
    {%- if not execute or not columns -%}{{ return(false) }}{%- endif -%}
    {%- set existing = adapter.get_relation(relation.database, relation.schema, relation.identifier) -%}
    {%- if existing is none or existing.is_view -%}{{ return(false) }}{%- endif -%}
    {%- set present = adapter.get_columns_in_relation(existing) | map(attribute="name") | map("lower") | list -%}
    {{ return(columns | reject("in", present) | list | length > 0) }}
{%- endmacro %}


{# Of a table that has the column `logic_version`: whether a row names another one. #}
{% macro stores_other_logic(relation, logic_version) -%}
    {%- if not execute or not logic_version -%}{{ return(false) }}{%- endif -%}
    {%- set existing = adapter.get_relation(relation.database, relation.schema, relation.identifier) -%}
    {%- if existing is none or existing.is_view -%}{{ return(false) }}{%- endif -%}
    {%- set others = run_query("select count(*) from " ~ existing ~ " where logic_version <> '" ~ logic_version ~ "'") -%}
    {{ return(others.columns[0].values()[0] > 0) }}
{%- endmacro %}
