"""What the emulator mends of fakesnow 0.11.22, each beside the stock fault, and what it does as Snowflake does.

Where fakesnow learns one of these, the test of its fault fails here, and the patch can go.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import fakesnow
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import snowflake.connector
from snowflake.connector.errors import Error, IntegrityError, OperationalError, ProgrammingError

from tests.conftest import wait_until
from tests.emulator import SnowflakeEmulator, new_database, slow

pytestmark = slow
Ask = Callable[..., list[tuple[Any, ...]]]
TABLE = "create table raw.t (id integer, name varchar, at_time timestamp_ntz, amount decimal(18,2))"


@pytest.fixture
def database() -> str:
    return new_database()


@contextmanager
def session(emulator: SnowflakeEmulator, database: str, **options: Any) -> Iterator[Ask]:
    # The driver's own network_timeout is a limit of a whole statement, too.
    options = {"network_timeout": 10, "login_timeout": 5, "session_parameters": {"QUERY_TAG": "test"}, **options}
    who = {"user": "gtm", "password": "any", "account": "gtm", "warehouse": "wh", "role": "loader"}
    where = {"host": "127.0.0.1", "port": emulator.port, "protocol": "http", "database": database}
    with snowflake.connector.connect(**who, **where, **options) as connection:

        def ask(statement: str) -> list[tuple[Any, ...]]:
            with connection.cursor() as cursor:
                return list(cursor.execute(statement).fetchall())  # type: ignore[union-attr]

        ask("create schema if not exists raw")
        yield ask


@pytest.fixture
def ask(emulator: SnowflakeEmulator, database: str) -> Iterator[Ask]:
    with session(emulator, database) as asked:
        asked(TABLE)
        yield asked


@pytest.fixture(scope="module")
def stock() -> Iterator[Ask]:
    """fakesnow's own server, whose HTTP 500 the connector would ask again for long."""
    with fakesnow.server() as options:
        with snowflake.connector.connect(**{**options, "network_timeout": 1}, database="stock") as connection:

            def ask(statement: str) -> list[tuple[Any, ...]]:
                with connection.cursor() as cursor:
                    return list(cursor.execute(statement).fetchall())  # type: ignore[union-attr]

            ask("create schema raw")
            ask(TABLE)
            yield ask


def test_a_null_moment_is_no_moment_of_1970(ask: Ask, stock: Ask) -> None:
    asked = "select * from values (null::timestamp_ntz), ('2026-01-02 03:04:05.678'::timestamp_ntz) as t (a) order by a"
    found, stocks = ask(asked), stock(asked)
    assert [one is None for (one,) in found] == [False, True] or [one is None for (one,) in found] == [True, False]
    assert all(one is not None for (one,) in stocks)


def test_cents_are_summed_as_decimals(ask: Ask, stock: Ask) -> None:
    asked = "select sum(a) as a from values (0.10::decimal(18,2)), (0.20::decimal(18,2)) as t (a)"
    assert ask(asked) == [(Decimal("0.30"),)] and isinstance(stock(asked)[0][0], float)


def test_a_merge_is_one_statement_with_both_counts(ask: Ask, stock: Ask) -> None:
    merge = (
        "merge into raw.t as stored using (select 1 as id, 'b' as name union all select 2, 'c') as offered"
        " on stored.id = offered.id when matched then update set name = coalesce(offered.name, 'none')"
        " when not matched then insert (id, name) values (offered.id, upper(offered.name))"
    )
    ask("insert into raw.t (id, name) values (1, 'a')")
    assert ask(merge) == [(1, 1)]
    assert ask("select id, name from raw.t order by id") == [(1, "b"), (2, "C")]
    stock("insert into raw.t (id, name) values (1, 'a')")
    with pytest.raises(Error):
        stock(merge)
    with pytest.raises(ProgrammingError) as refused:
        ask(merge.replace("select 2, 'c'", "select 1, 'c'"))
    assert refused.value.errno == 100090


def test_a_temporary_table_may_be_named_in_full_and_ends_with_its_session(
    emulator: SnowflakeEmulator, database: str, ask: Ask, stock: Ask, tmp_path: Path
) -> None:
    create = "create temporary table {}.raw.parts (id integer, name varchar)"
    ask(create.format(database))
    pq.write_table(pa.table({"id": [1, 2], "name": ["a", None]}), tmp_path / "parts.parquet")
    ask("use schema raw")
    ask(f"put 'file://{tmp_path}/parts.parquet' @%parts auto_compress = false")
    copy = "copy into parts from @%parts file_format = (type = parquet) match_by_column_name = case_insensitive"
    assert ask(copy)[0][1:4] == ("LOADED", 2, 2)
    assert ask(f"select id, name from {database}.raw.parts order by id") == [(1, "a"), (2, None)]
    assert [row[0] for row in ask(f"describe table {database}.raw.parts")] == ["ID", "NAME"]
    with session(emulator, database) as other, pytest.raises(ProgrammingError) as missing:
        other("select * from raw.parts")
    assert missing.value.errno == 2003
    with pytest.raises(Error):
        stock(create.format("stock"))


def test_a_primary_key_is_a_note(ask: Ask, stock: Ask, database: str) -> None:
    create = "create table raw.keyed (id integer not null, name varchar, primary key (id, name))"
    ask(create)
    ask("insert into raw.keyed values (1, 'a'), (1, 'a')")
    assert [row[3] for row in ask("show primary keys in table raw.keyed")] == ["ID", "NAME"]
    with pytest.raises(IntegrityError) as refused:
        ask("insert into raw.keyed values (1, null)")
    assert refused.value.errno == 100072
    stock(create)
    with pytest.raises(Error):
        stock("insert into raw.keyed values (1, 'a'), (1, 'a')")


def test_comments_are_kept_and_read(ask: Ask, stock: Ask) -> None:
    create = "create table raw.told (id integer comment 'it''s the id') comment = 'don''t'"
    ask(create)
    ask("create view raw.shown as select 1 as one")
    ask("comment on column raw.t.id is $$the account's$$")
    ask("alter table raw.t alter name comment $$it's a name$$")
    tables = (
        "select table_name, table_type, comment from information_schema.tables where table_schema = 'RAW' order by 1"
    )
    assert ask(tables) == [("SHOWN", "VIEW", None), ("T", "BASE TABLE", None), ("TOLD", "BASE TABLE", "don't")]
    columns = "select comment from information_schema.columns where comment is not null order by 1"
    assert [row[0] for row in ask(columns)] == ["it's a name", "it's the id", "the account's"]
    with pytest.raises(Error):
        stock(create)


def test_session_parameters_are_kept(ask: Ask, stock: Ask) -> None:
    asked = "show parameters like 'query_tag' in session"
    assert ask(asked)[0][1] == "test"
    ask("alter session set query_tag = 'it''s another'")
    assert ask(asked)[0][1] == "it's another"
    ask("alter session unset query_tag")
    assert ask(asked)[0][1] == ""
    with pytest.raises(Error):
        stock("alter session set query_tag = 'a'")


def test_schemas_are_listed_as_asked(ask: Ask, stock: Ask) -> None:
    assert ask("show terse schemas like 'nothing%'") == []
    assert [row[1] for row in ask("show terse schemas like 'ra_'")] == ["RAW"]
    assert stock("show terse schemas like 'nothing%'") != []


def test_what_fails_is_an_answer(ask: Ask, emulator: SnowflakeEmulator) -> None:
    """Not HTTP 500, after which the connector asks again."""
    for statement, code in (
        ("select * from raw.nothing", 2003),
        ("select nothing from raw.t", 904),
        ("selec 1", 1003),
        ("select 'a'::integer", 100038),
        ("alter session set", 1003),
        ("select st_makepoint(1, 2)", 2140),
    ):
        with pytest.raises(Error) as refused:
            ask(statement)
        assert refused.value.errno == code, statement
    assert emulator.statements()["failed"] == 6


def test_a_file_is_copied_once(ask: Ask, tmp_path: Path) -> None:
    ask("use schema raw")
    pq.write_table(pa.table({"id": [1, 2], "name": ["a", "b"]}), tmp_path / "it's.parquet")
    path = f"{tmp_path}/it\\'s.parquet"
    ask("create stage raw.files")
    for stage in ("@%t", "@raw.files/part", "@~/part"):
        ask("truncate table raw.t")
        ask(f"put 'file://{path}' {stage} auto_compress = false")
        copy = f"copy into t from {stage} file_format = (type = parquet) match_by_column_name = case_insensitive"
        assert ask(copy)[0][1] == "LOADED" and ask(copy)[0][1] == "LOAD_SKIPPED"
        assert ask("select count(*) from t") == [(2,)]
        assert len(ask(f"list {stage.split('/')[0]}")) == 1
        ask(f"remove {stage}")
        assert ask(f"list {stage.split('/')[0]}") == []


def test_a_transaction_ends_with_ddl_and_else_as_it_is_told(
    emulator: SnowflakeEmulator, database: str, ask: Ask
) -> None:
    with session(emulator, database, autocommit=False) as writer:
        writer("insert into raw.t (id) values (1)")
        assert writer("select count(*) from raw.t") == [(1,)] and ask("select count(*) from raw.t") == [(0,)]
        writer("rollback")
        assert writer("select count(*) from raw.t") == [(0,)]
        writer("insert into raw.t (id) values (2)")
        writer("create temporary table one (id integer)")
        writer("rollback")
        assert ask("select id from raw.t") == [(2,)]
    ask("begin")
    ask("insert into raw.t (id) values (3)")
    ask("commit")
    assert ask("select count(*) from raw.t") == [(2,)]


def test_who_holds_a_lock_and_is_gone_is_rolled_back(emulator: SnowflakeEmulator, database: str, ask: Ask) -> None:
    """After a second here, after five minutes on Snowflake."""
    with session(emulator, database, autocommit=False) as gone:
        gone("insert into raw.t (id) values (1)")
        ask("insert into raw.t (id) values (2)")
        assert ask("select id from raw.t") == [(2,)]


def test_writers_wait_for_each_other(emulator: SnowflakeEmulator, database: str, ask: Ask) -> None:
    ended: list[str] = []

    def write() -> None:
        with session(emulator, database) as second:
            second("update raw.t set name = name || 'b'")
        ended.append("second")

    with session(emulator, database, autocommit=False) as first:
        ask("insert into raw.t (id, name) values (1, '')")
        first("update raw.t set name = name || 'a'")
        thread = threading.Thread(target=write)
        thread.start()
        wait_until(lambda: emulator.statements()["logins"] == 3, "the second one is there")
        ended.append("first")
        first("commit")
        thread.join()
    assert ended == ["first", "second"] and ask("select name from raw.t") == [("ab",)]


def test_an_answer_that_was_lost_is_given_again(emulator: SnowflakeEmulator, ask: Ask) -> None:
    emulator.fail(at="statement", match="^insert", cut="after")
    ask("insert into raw.t (id) values (1)")
    assert ask("select count(*) from raw.t") == [(1,)]
    assert emulator.statements()["by_kind"]["insert"] == 1


def test_a_request_that_was_cut_is_asked_again(emulator: SnowflakeEmulator, ask: Ask) -> None:
    emulator.fail(at="statement", match="^insert", cut="before")
    emulator.fail(at="http", match="^insert", status=503)
    ask("insert into raw.t (id) values (1)")
    assert ask("select count(*) from raw.t") == [(1,)]
    emulator.fail(at="statement", match="^delete", cut="before", times=0)
    with pytest.raises(OperationalError):
        ask("delete from raw.t")


def test_an_expired_session_is_renewed_by_the_client(emulator: SnowflakeEmulator, ask: Ask) -> None:
    emulator.fail(at="statement", match="^insert", code="390112")
    ask("insert into raw.t (id) values (1)")
    assert ask("select count(*) from raw.t") == [(1,)]
    emulator.fail(at="statement", match="^insert", code="390114")
    with pytest.raises(ProgrammingError):
        ask("insert into raw.t (id) values (2)")


def test_a_suspended_warehouse_reads_and_writes_no_row(emulator: SnowflakeEmulator, ask: Ask) -> None:
    emulator.fail(at="warehouse", state="suspended", times=0)
    ask("select current_role()")
    ask("create table raw.other (id integer)")
    for statement in (
        "select * from raw.t",
        "insert into raw.t (id) values (1)",
        "create table raw.c as select 1 as a",
    ):
        with pytest.raises(ProgrammingError) as refused:
            ask(statement)
        assert refused.value.errno == 606, statement


def test_a_statement_of_more_than_a_megabyte_is_refused(ask: Ask) -> None:
    with pytest.raises(ProgrammingError) as refused:
        ask(f"select '{'a' * 1_048_577}'")
    assert "1 MB" in str(refused.value)


def test_statements_are_counted_by_kind_and_tag(emulator: SnowflakeEmulator, ask: Ask) -> None:
    emulator.reset()
    ask("/* why */ with a as (select 1 as b) select * from a")
    ask("-- why\ncreate or replace table raw.u (id integer)")
    ask("merge into raw.u using raw.t on u.id = t.id when matched then delete")
    ask("alter session set query_tag = 'other'")
    ask("select 1")
    found = emulator.statements()
    assert found["by_kind"] == {"ddl": 1, "merge": 1, "select": 2, "session": 1}
    assert found["by_tag"] == {"other": 2, "test": 3} and found["statements"] == 5
    assert [one["text"] for one in emulator.log("^merge")] == [
        "merge into raw.u using raw.t on u.id = t.id when matched then delete"
    ]


def test_what_was_written_outlives_the_process(tmp_path: Path) -> None:
    for expected in ([], [(1,)]):
        with SnowflakeEmulator(tmp_path, keeps=True) as emulator, session(emulator, "kept") as ask:
            ask("create table if not exists raw.t (id integer)")
            assert ask("select id from raw.t") == expected
            ask("insert into raw.t values (1)")
