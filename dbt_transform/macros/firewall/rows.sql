{#
    The data firewall. A base model names the type of every source column; this writes the CTEs that all of them share
    and ends in `checked`, one row per RAW row:

    - every source column, cleaned of white space and placeholders, under its own name
    - `<column>_typed` for each column that is not plain text
    - `<column>_usd` and `<column>_currency` for money, `registrable_<column>` for domains and email addresses
    - `failed_checks`: `<raw column>:<reason code>;` for every check that failed, empty for a row that passes

    Staging keeps the rows whose list is empty, quarantine the others. Base models are tables, since every date would
    else be read again by each of the views, marts and tests behind them.

    The rule: text that is present in a typed column must be readable as its type. Null is fine in every optional column,
    a broken email or domain becomes null, and a reference to a record that was never exported stays: real exports
    have all three.

    types: text · word (lower case, never null) · name (entities decoded) · url (`<column>_host`, never null) ·
    timestamp · number · amount (not negative, currency unknown) · money or
    money:<currency column> · count · boolean · email · domain · salesforce_id · hubspot_id · hubspot_ids
    checks: [condition that fails the row, raw column, reason code], beside those of the types
    salesforce_key: the column whose id, 15 or 18 characters long, is the record's key
#}
{% macro checked_rows(source_system, plural, columns, checks=[], salesforce_key=none) -%}
landed as (
    select * from {{ landed_table(source_system ~ "_" ~ plural) }}
),

{{ checked_ctes(source_system, columns, checks, salesforce_key) }}
{%- endmacro %}


{#
    The same for an incremental model: only the rows whose load batch it doesn't hold yet. A load batch (load_id, loaded_at)
    is committed at once and never grows, so a batch of which one row is stored was read as a whole; a row that a later load
    changed belongs to that load's batch.
#}
{% macro new_checked_rows(source_system, plural, columns, checks) -%}
landed as (
    select records.*
    from {{ landed_table(source_system ~ "_" ~ plural) }} as records
    {%- if is_incremental() %}
    left join (
        select distinct
            load_id,
            loaded_at
        from {{ this }}
    ) as stored_batches
        on records.load_id = stored_batches.load_id and records.loaded_at = stored_batches.loaded_at
    where stored_batches.load_id is null
    {%- endif %}
),

{{ checked_ctes(source_system, columns, checks) }}
{%- endmacro %}


{% macro checked_ctes(source_system, columns, checks, salesforce_key=none) -%}
cleaned as (
    select
        source_system,
        source_record_id as landed_record_id,
        {{ parse_salesforce_id("source_record_id") if salesforce_key else "source_record_id" }} as source_record_id,
        source_updated_at,
        coalesce(is_deleted, false) as is_deleted,
        load_id,
        loaded_at,
        extra as landed_extra
        {%- for column in columns %},
        {{ clean_text(column) }} as {{ column }},
        {{ column }} as landed_{{ column }}
        {%- endfor %}
    from landed
),

typed as (
    select
        cleaned.*
        {%- for column, type in columns.items() if type != "text" %},
        {{ typed_column(column, type, source_system) | trim }}
        {%- endfor %}
        {%- if salesforce_key %},
        row_number() over (
            partition by source_record_id
            order by source_updated_at desc nulls last, loaded_at desc nulls last, landed_record_id desc
        ) as version
        {%- endif %}
    from cleaned
),
{% set addresses = [] -%}
{%- for column, type in columns.items() if type in ("domain", "email") %}{% set _ = addresses.append(column) %}{% endfor -%}
{%- if addresses %}
{{ registrable_domains(addresses) }}
{% endif %}
checked as (
    select
        typed.*,
        {%- for column in addresses %}
        domains_of_{{ column }}.registrable_domain as registrable_{{ column }},
        {%- endfor %}
        {{ failed_checks(columns, checks, salesforce_key) }} as failed_checks
    from typed
    {%- for column in addresses %}
    left join registrable as domains_of_{{ column }} on typed.{{ column }}_host = domains_of_{{ column }}.host
    {%- endfor %}
)
{%- endmacro %}


{% macro typed_column(column, type, source_system) -%}
    {%- set typed = column ~ "_typed" -%}
    {%- if type == "name" -%} {{ decode_entities(column) }} as {{ typed }}
    {%- elif type == "timestamp" -%} {{ parse_timestamp(column, date_order(source_system)) }} as {{ typed }}
    {%- elif type in ("number", "amount") -%} {{ parse_amount(column) }} as {{ typed }}
    {%- elif type.split(":")[0] == "money" -%}
        {%- set code = type.split(":")[1] if ":" in type else none -%}
        {{ parse_amount(column) }} as {{ typed }},
        {{ currency_of(column, code) }} as {{ column }}_currency,
        cast(cast({{ typed }} as decimal(20, 2)) * {{ usd_rate(column ~ "_currency") }} as decimal(18, 2)) as {{ column }}_usd
    {%- elif type == "count" -%} {{ parse_count(column) }} as {{ typed }}
    {%- elif type == "boolean" -%} {{ parse_boolean(column) }} as {{ typed }}
    {%- elif type == "email" -%}
        {{ parse_email(column) }} as {{ typed }},
        {{ parse_domain("split_part(" ~ typed ~ ", '@', 2)") }} as {{ column }}_host
    {%- elif type == "domain" -%} {{ parse_domain(column) }} as {{ column }}_host
    {%- elif type == "url" -%} {{ host_of_url(column) }} as {{ column }}_host
    {%- elif type == "word" -%} lower(coalesce({{ column }}, '')) as {{ typed }}
    {%- elif type == "salesforce_id" -%} {{ parse_salesforce_id(column) }} as {{ typed }}
    {%- elif type == "hubspot_id" -%} {{ parse_hubspot_id(column) }} as {{ typed }}
    {%- elif type == "hubspot_ids" -%} {{ parse_hubspot_ids(column) }} as {{ typed }}
    {%- endif -%}
{%- endmacro %}


{# What every staging view begins with: ingest's metadata. #}
{% macro record_columns() -%}
    source_system,
    source_record_id,
    source_updated_at,
    is_deleted,
    load_id,
    loaded_at
{%- endmacro %}


{#
    What every base model ends with. A row that failed keeps its RAW key and its whole RAW row as JSON text; for the others
    both are null.
#}
{% macro check_columns(columns) -%}
    failed_checks,
    case when failed_checks <> '' then landed_record_id end as failed_record_id,
    case when failed_checks <> '' then {{ json_row((columns | list) + ["extra"], "landed_") }} end as failed_row,
    {{ audit_columns() }}
{%- endmacro %}


{# A staging view: the rows of a base model that passed every check, without what only quarantine needs. #}
{% macro passed_rows(base_model, exclude=[]) -%}
select * exclude ({{ (["failed_checks", "failed_record_id", "failed_row"] + exclude) | join(", ") }})
from {{ ref(base_model) }}
where failed_checks = ''
{%- endmacro %}
