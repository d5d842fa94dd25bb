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
BAD = {
    "function of DuckDB: regexp_full_match": "select regexp_full_match(name, 'a') from raw.deals",
    "function of DuckDB: list_aggregate": "select list_aggregate(names, 'sum') from raw.deals",
    "function of DuckDB: strftime": "select strftime(loaded_at, '%Y') from raw.deals",
    "function of DuckDB: read_parquet": "select * from read_parquet('a.parquet')",
    "function of DuckDB: unnest": "select unnest(from_json('[1]', '[\"INTEGER\"]'))",
    "function of DuckDB: generate_series": "select * from generate_series(1, 3)",
    "function of DuckDB: epoch_ms": "select epoch_ms(1)",
    "function that nobody has": "select zeroifnul(amount) from raw.deals",
    "type of DuckDB: hugeint": "select cast(amount as hugeint) from raw.deals",
    "type of DuckDB: list": "create table raw.names (names varchar[])",
    "type of DuckDB: struct": "create table raw.names (place struct(x integer))",
    "type of DuckDB: json": "create table raw.names (extra json)",
    "clause of DuckDB: from first": "from raw.deals select id",
    "clause of DuckDB: semi join": "select id from raw.deals semi join changed using (id)",
    "clause of DuckDB: columns": "select columns(name -> name <> 'id') from raw.deals",
    "clause of DuckDB: filter": "select sum(amount) filter (where is_won) as won from raw.deals",
    "clause of DuckDB: distinct on": "select distinct on (id) id, name from raw.deals order by id, name",
    "clause of DuckDB: window": "select sum(amount) over w as total from raw.deals window w as (partition by id)",
    "clause of DuckDB: on conflict": "insert into raw.deals (id) values ('1') on conflict do nothing",
    "clause of DuckDB: insert or replace": "insert or replace into raw.deals (id) values ('1')",
    "clause of DuckDB: returning": "insert into raw.deals (id) values ('1') returning id",
    "clause of DuckDB: using sample": "select id from raw.deals using sample 10%",
    "clause of PostgreSQL: materialized": "with a as materialized (select 1 as b) select b from a",
    "operator of DuckDB: integer division": "select amount // 2 as half\nfrom raw.deals",
    "operator of DuckDB: json arrow": "select extra ->> '$.a' as a from raw.deals",
    "operator of DuckDB: power": "select 2 ^ 3 as eight",
    "interval that is no text": "select loaded_at + interval 1 day as later from raw.deals",
    "statement of DuckDB: pragma": "pragma memory_limit='1GB'",
    "statement of DuckDB: attach": "attach 'a.duckdb' as core (read_only)",
    "statement of DuckDB: install": "install icu",
    "statement of DuckDB: copy to": "copy raw.deals to 'a.parquet' (format parquet)",
    "statement that is ambiguous: two in one": "delete from raw.deals; delete from raw.rejects",
    "statement that is cut off": "select id from raw.deals where",
    "statement that is misspelt": "selct id from raw.deals",
    "name that is reserved": "select name as start from raw.deals",
    "name that is reserved, of a column": "create table raw.deals (id varchar, order varchar)",
    "name that is quoted": 'select "id" from raw.deals',
    "order that puts nulls elsewhere": "select id from raw.deals order by amount desc limit 1",
    "subquery that gives many rows": (
        "select id, (select name from raw.companies where companies.id = deals.company_id) as name from raw.deals"
    ),
    "subquery with a limit": (
        "select id from raw.deals where amount = (select max(amount) as most from raw.companies"
        " where companies.id = deals.company_id limit 1)"
    ),
    "pattern with a group that has no number": "select regexp_replace(name, '(?:a|b)', '') as name from raw.deals",
    "pattern that is not greedy": "select regexp_substr(name, 'a.*?b') as name from raw.deals",
    "text whose backslash is dropped": r"select regexp_like(name, '\.com') as is_com from raw.deals",
    "alias that is there twice": "select deals.id from raw.deals as deals inner join raw.companies as deals on 1 = 1",
    "comparison with null": "select id from raw.deals where name = null",
}


@pytest.mark.parametrize("sql", GOOD, ids=range(len(GOOD)))
def test_what_snowflake_takes_passes(sql: str) -> None:
    assert findings(sql) == []


@pytest.mark.parametrize("what", BAD)
def test_what_snowflake_would_refuse_is_refused(what: str) -> None:
    assert findings(BAD[what]), what
