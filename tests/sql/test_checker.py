"""The checker refuses what Snowflake would refuse or read differently: one that passes everything checks nothing."""

import pytest

from tests.sql.checker import findings

GOOD = [
    "select account_id, sum(amount) as total from raw.deals group by all qualify row_number() over"
    " (partition by account_id order by loaded_at desc nulls last, account_id) = 1",
    "merge into raw.deals as stored using offered_deals as offered on stored.id = offered.id"
    " when matched and stored.row_hash <> offered.row_hash then update set name = offered.name"
    " when not matched then insert (id, name) values (offered.id, offered.name)",
    "create or replace temporary table staged_deals (id varchar, amount decimal(18,2), moment timestamp_ntz)",
    "put 'file:///spool/one.parquet' @%staged_deals auto_compress = false overwrite = true",
    "copy into staged_deals from @%staged_deals file_format = (type = parquet use_logical_type = true)"
    " match_by_column_name = case_insensitive on_error = abort_statement purge = true",
    "select id from raw.deals where id in (select value::varchar from table(flatten(input => parse_json('[\"1\"]'))))",
    "alter session set query_tag = 'job'",
    "/* {\"app\": \"dbt\"} */\nselect 'it''s' as a, 'a\\\\.b' as b, regexp_like('a', '^[a-z]+$') as c;",
    "select 1 as a where exists (select 1 from raw.deals where deals.id = '1')",
]
# What is wrong -> the statement, and what is said of it.
BAD = {
    "function of DuckDB: regexp_full_match": ("select regexp_full_match(name, 'a') from raw.deals", "is no function"),
    "function of DuckDB: list_aggregate": ("select list_aggregate(names, 'sum') from raw.deals", "is no function"),
    "function of DuckDB: strftime": ("select strftime(loaded_at, '%Y') from raw.deals", "is no function"),
    "function of DuckDB: read_parquet": ("select * from read_parquet('a.parquet')", "is no function"),
    "function of DuckDB: unnest": ("select unnest(from_json('[1]', '[\"INTEGER\"]'))", "is no function"),
    "function of DuckDB: generate_series": ("select * from generate_series(1, 3)", "is no function"),
    "function of DuckDB: epoch_ms": ("select epoch_ms(1)", "is no function"),
    "function that nobody has": ("select zeroifnul(amount) from raw.deals", "is no function"),
    "type of DuckDB: hugeint": ("select cast(amount as hugeint) from raw.deals", "unparsable section"),
    "type of DuckDB: list": ("create table raw.names (names varchar[])", "unparsable section"),
    "type of DuckDB: struct": ("create table raw.names (place struct(x integer))", "unparsable section"),
    "type of DuckDB: json": ("create table raw.names (extra json)", "unparsable section"),
    "clause of DuckDB: from first": ("from raw.deals select id", "no statement that"),
    "clause of DuckDB: semi join": ("select id from raw.deals semi join changed using (id)", "SEMI JOIN"),
    "clause of DuckDB: columns": ("select columns(name -> name <> 'id') from raw.deals", "COLUMNS is no function"),
    "clause of DuckDB: filter": ("select sum(amount) filter (where is_won) as won from raw.deals", "FILTER"),
    "clause of DuckDB: distinct on": (
        "select distinct on (id) id, name from raw.deals order by id, name",
        "DISTINCT ON",
    ),
    "clause of DuckDB: window": (
        "select sum(amount) over w as total from raw.deals window w as (partition by id)",
        "can't parse",
    ),
    "clause of DuckDB: on conflict": ("insert into raw.deals (id) values ('1') on conflict do nothing", "ON CONFLICT"),
    "clause of DuckDB: insert or replace": ("insert or replace into raw.deals (id) values ('1')", "INSERT OR"),
    "clause of DuckDB: returning": ("insert into raw.deals (id) values ('1') returning id", "RETURNING"),
    "clause of DuckDB: using sample": ("select id from raw.deals using sample 10%", "unparsable section"),
    "clause of PostgreSQL: materialized": ("with a as materialized (select 1 as b) select b from a", "MATERIALIZED"),
    "operator of DuckDB: integer division": ("select amount // 2 as half\nfrom raw.deals", "// begins a comment"),
    "operator of DuckDB: json arrow": ("select extra ->> '$.a' as a from raw.deals", "the operator ->>"),
    "operator of DuckDB: power": ("select 2 ^ 3 as eight", "the operator ^"),
    "interval that is no text": ("select loaded_at + interval 1 day as later from raw.deals", "must be quoted"),
    "statement of DuckDB: pragma": ("pragma memory_limit='1GB'", "no statement that"),
    "statement of DuckDB: attach": ("attach 'a.duckdb' as core (read_only)", "no statement that"),
    "statement of DuckDB: install": ("install icu", "no statement that"),
    "statement of DuckDB: copy to": ("copy raw.deals to 'a.parquet' (format parquet)", "keeps the text as a command"),
    "statement that is ambiguous: two in one": (
        "delete from raw.deals; delete from raw.rejects",
        "2 statements in one",
    ),
    "statement that is cut off": ("select id from raw.deals where", "can't parse"),
    "statement that is misspelt": ("selct id from raw.deals", "no statement that"),
    "name that is reserved": ("select name as start from raw.deals", "reserved word"),
    "name that is reserved, of a column": ("create table raw.deals (id varchar, order varchar)", "reserved word"),
    "name that is quoted": ('select "id" from raw.deals', "quoted lower-case name"),
    "order that puts nulls elsewhere": (
        "select id from raw.deals order by amount desc limit 1",
        "nulls first or nulls last",
    ),
    "subquery that gives many rows": (
        "select id, (select name from raw.companies where companies.id = deals.company_id) as name from raw.deals",
        "not one aggregate",
    ),
    "subquery with a limit": (
        "select id from raw.deals where amount = (select max(amount) as most from raw.companies"
        " where companies.id = deals.company_id limit 1)",
        "LIMIT in a correlated",
    ),
    "pattern with a group that has no number": (
        "select regexp_replace(name, '(?:a|b)', '') as name from raw.deals",
        "(?...)",
    ),
    "pattern that is not greedy": ("select regexp_substr(name, 'a.*?b') as name from raw.deals", "non-greedy"),
    "text whose backslash is dropped": ("select regexp_like(name, '\\.com') as is_com from raw.deals", "backslash"),
    "alias that is there twice": (
        "select deals.id from raw.deals as deals inner join raw.companies as deals on 1 = 1",
        "stands twice in one FROM",
    ),
    "try_cast of a number": ("select try_cast(round(amount) as varchar) as amount from raw.deals", "no text"),
    "try_cast of a moment": ("select try_cast(cast(at as date) as varchar) as day from raw.deals", "no text"),
    "greatest of what may be null": ("select greatest(amount, 0) as amount from raw.deals", "may be null"),
    "least of what may be null": ("select least(50, coalesce(score, points)) as score from raw.deals", "may be null"),
    "comparison with null": ("select id from raw.deals where name = null", "CV05"),
}


@pytest.mark.parametrize("sql", GOOD, ids=range(len(GOOD)))
def test_what_snowflake_takes_passes(sql: str) -> None:
    assert findings(sql) == []


@pytest.mark.parametrize("what", BAD)
def test_what_snowflake_would_refuse_is_refused(what: str) -> None:
    sql, told = BAD[what]
    assert any(told in finding for finding in findings(sql))
