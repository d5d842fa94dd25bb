"""A load that breaks off on Snowflake: nothing half-loaded, nothing loaded twice, no staging left behind."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from billiard.exceptions import SoftTimeLimitExceeded

from services.ingest.adapters.raw_tables import create_raw_tables
from services.ingest.domain.loads import LandedCounts
from shared.errors import TerminalError, TransientError
from shared.jobs.context import JobCancelled, LeaseLost
from shared.settings import WarehouseSettings
from shared.warehouse import Warehouse, open_warehouse, snowflake_staging
from shared.warehouse.snowflake import SnowflakeWarehouse
from shared.warehouse.snowflake_staging import staging_table
from tests.conftest import REPOSITORY, wait_until
from tests.emulator import SnowflakeEmulator, new_database, slow
from tests.ingest.conftest import MemoryJob
from tests.ingest.segment_landing import Landing, batch

CONTACTS, DEALS = "hubspot_contacts", "hubspot_deals"
ROWS = [{"id": str(number), "email": f"{number}@b.example"} for number in range(50)]
LANDED = LandedCounts(seen=50, inserted=50, updated=0, unchanged=0, duplicates=0, rejected=0)


@pytest.fixture(scope="module")
def database(running_emulator: SnowflakeEmulator) -> str:
    """With all tables of RAW: to make them takes longer than a test."""
    name = new_database()
    with open_warehouse(running_emulator.settings(name)).core(write=True) as connection:
        create_raw_tables(connection)
    return name


@pytest.fixture
def settings(emulator: SnowflakeEmulator, database: str) -> Iterator[WarehouseSettings]:
    yield (settings := emulator.settings(database))
    emulator.reset()
    with open_warehouse(settings).core(write=True) as connection:
        create_raw_tables(connection)
        for table in (f"raw.{CONTACTS}", f"raw.{DEALS}", "raw.loads", "raw.load_segments"):
            connection.exec_driver_sql(f"truncate table {table}")


@pytest.fixture
def landing(snowflake: Warehouse, tmp_path: Path) -> Landing:
    return Landing(snowflake, tmp_path / "spool")


def count(warehouse: Warehouse, source: str) -> int:
    with warehouse.core() as connection:
        return int(connection.exec_driver_sql(f"select count(*) from {source}").scalar_one())


def staging(warehouse: Warehouse) -> list[str]:
    listing = "select table_name from information_schema.tables where table_name like 'GTM_STAGED%' order by 1"
    with warehouse.core() as connection:
        return [str(name) for name in connection.exec_driver_sql(listing).scalars()]


def land(landing: Landing, tables: Sequence[str] = (CONTACTS,), **options: Any) -> dict[str, LandedCounts]:
    return landing.land(*(batch(table, *ROWS) for table in tables), **options)


def test_a_load_leaves_no_staging(landing: Landing) -> None:
    assert land(landing, (CONTACTS, DEALS)) == {CONTACTS: LANDED, DEALS: LANDED}
    assert staging(landing.warehouse) == []


def test_an_answer_that_was_lost_loads_nothing_twice(emulator: SnowflakeEmulator, landing: Landing) -> None:
    """The driver asks again with the same request id, which Snowflake runs once."""
    for what in ("^copy", "^merge"):
        emulator.fail(at="statement", match=what, cut="after")
    assert land(landing)[CONTACTS] == LANDED
    assert count(landing.warehouse, f"raw.{CONTACTS}") == 50 and staging(landing.warehouse) == []


@pytest.mark.parametrize(
    "what", ["^copy", pytest.param("^merge into raw.hubspot_contacts", marks=slow)], ids=["copy", "merge"]
)
def test_a_network_that_stays_away_lands_nothing_and_the_next_attempt_copies_no_file_again(
    emulator: SnowflakeEmulator, landing: Landing, what: str
) -> None:
    emulator.fail(at="statement", match=what, cut="after", times=0)
    with pytest.raises(TransientError) as broken:
        land(landing)
    assert broken.value.code == "warehouse-unreachable"
    emulator.reset()
    assert count(landing.warehouse, f"raw.{CONTACTS}") == 0 and count(landing.warehouse, "raw.loads") == 0
    (left,) = staging(landing.warehouse)
    assert land(landing)[CONTACTS] == LANDED
    assert [one["rows"] for one in emulator.log("^copy")] == [1]
    assert {one["text"].split()[6].upper() for one in emulator.log("^create transient")} == {left}
    assert count(landing.warehouse, f"raw.{CONTACTS}") == 50 and staging(landing.warehouse) == []


class DroppingJob(MemoryJob):
    """Somebody drops a table between staging and merging."""

    def __init__(self, drop: Callable[[], None]) -> None:
        super().__init__("job-1", {})
        self._drop = drop

    def report(self, phase: str, done: int, total: int | None = None, unit: str = "rows") -> None:
        if (phase, done) == ("merge", 0):
            self._drop()


def test_a_table_that_was_dropped_meanwhile_lands_none(
    settings: WarehouseSettings, landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drop() -> None:
        with open_warehouse(settings).core(write=True) as connection:
            connection.exec_driver_sql("drop table raw.hubspot_deals")

    monkeypatch.setattr("tests.ingest.segment_landing.MemoryJob", lambda *_: DroppingJob(drop))
    with pytest.raises(TerminalError) as missing:
        land(landing, (CONTACTS, DEALS))
    assert missing.value.code == "warehouse-object-missing"
    assert count(landing.warehouse, f"raw.{CONTACTS}") == 0 and staging(landing.warehouse) == []


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("003001", "warehouse-grant-missing"),
        pytest.param("000606", "warehouse-suspended", marks=slow),
        pytest.param("090073", "warehouse-suspended", marks=slow),
        pytest.param("000630", "warehouse-statement-timeout", marks=slow),
    ],
)
def test_what_is_refused_in_the_middle_of_a_load_lands_none_of_it(
    emulator: SnowflakeEmulator, landing: Landing, code: str, problem: str
) -> None:
    """The first of two tables is merged already."""
    emulator.fail(at="statement", match="^merge into raw.hubspot_deals", code=code)
    with pytest.raises(TerminalError) as refused:
        land(landing, (CONTACTS, DEALS))
    assert refused.value.code == problem and emulator.log("^merge into raw.hubspot_contacts")
    assert [count(landing.warehouse, f"raw.{name}") for name in (CONTACTS, DEALS, "loads")] == [0, 0, 0]
    assert staging(landing.warehouse) == []


def test_staging_that_another_attempt_took_away_is_tried_again(emulator: SnowflakeEmulator, landing: Landing) -> None:
    name = "SQL compilation error:\nObject 'GTM.RAW.GTM_STAGED_ABC' does not exist or not authorized."
    emulator.fail(at="statement", match="^merge into raw.hubspot_contacts", code="002003", message=name)
    with pytest.raises(TransientError) as gone:
        land(landing)
    assert gone.value.code == "warehouse-staging-gone"
    assert land(landing)[CONTACTS] == LANDED


@pytest.mark.parametrize(
    "end", [TerminalError("no", code="internal-error", title="No"), JobCancelled("job-1")], ids=["refused", "cancelled"]
)
def test_a_load_that_no_attempt_follows_leaves_nothing(
    settings: WarehouseSettings, landing: Landing, end: Exception
) -> None:
    with pytest.raises(type(end)):
        land(landing, stops_with=end)
    other = SnowflakeWarehouse(settings)  # another process: its sessions have nothing to clear away
    assert staging(other) == [] and count(other, f"raw.{CONTACTS}") == 0
    other._engine.dispose()


@pytest.mark.parametrize(
    "end", [LeaseLost("job-1"), pytest.param(SoftTimeLimitExceeded(), marks=slow)], ids=["lease", "time"]
)
def test_what_a_load_staged_is_the_next_attempts_and_no_bystander_takes_it_away(
    emulator: SnowflakeEmulator, landing: Landing, end: Exception
) -> None:
    with pytest.raises(type(end)):
        land(landing, stops_with=end)
    with landing.warehouse.core() as connection:  # a reader of the same process, of the same pool
        connection.exec_driver_sql("select 1")
    (left,) = staging(landing.warehouse)
    emulator.reset()
    assert land(landing)[CONTACTS] == LANDED
    assert staging(landing.warehouse) == []
    assert {one["text"].split()[6].upper() for one in emulator.log("^create transient")} == {left}


@slow
def test_an_attempt_that_was_given_up_may_still_copy_its_file(
    emulator: SnowflakeEmulator, settings: WarehouseSettings, landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the rows were looked at, and before they are merged: no row comes twice."""
    execute = sa.Connection.exec_driver_sql
    other = SnowflakeWarehouse(settings)

    def overtaken(connection: sa.Connection, statement: str, *arguments: Any, **options: Any) -> Any:
        done = execute(connection, statement, *arguments, **options)
        if statement.startswith("select count(*) from"):
            monkeypatch.setattr(sa.Connection, "exec_driver_sql", execute)
            (staged,) = staging(other)
            with other.core(write=True) as second:
                second.exec_driver_sql(f"insert into raw.{staged} select * from raw.{staged}")
        return done

    monkeypatch.setattr(sa.Connection, "exec_driver_sql", overtaken)
    assert land(landing)[CONTACTS] == LANDED
    assert count(landing.warehouse, f"raw.{CONTACTS}") == 50
    other._engine.dispose()


@slow
def test_a_right_that_is_missing_on_staging_is_no_staging_that_is_gone(
    emulator: SnowflakeEmulator, landing: Landing
) -> None:
    said = "SQL access control error:\nInsufficient privileges to operate on table 'GTM_STAGED_ABC'"
    emulator.fail(at="statement", match="^merge into raw.hubspot_contacts", code="003001", message=said)
    with pytest.raises(TerminalError) as refused:
        land(landing)
    assert refused.value.code == "warehouse-grant-missing"


@slow
def test_staging_that_can_not_be_dropped_keeps_none_of_the_other(emulator: SnowflakeEmulator, landing: Landing) -> None:
    emulator.fail(at="statement", match="^drop table if exists .*contacts", code="003001")
    land(landing, (CONTACTS, DEALS))
    (left,) = staging(landing.warehouse)
    assert "CONTACTS" in left


def test_what_killed_workers_left_goes_a_day_later(landing: Landing, monkeypatch: pytest.MonkeyPatch) -> None:
    left = "raw.gtm_staged_000000000000_staged_hubspot_contacts_0000000000000000"
    with landing.warehouse.core(write=True) as connection:
        connection.exec_driver_sql(f"create transient table {left} (id varchar)")
    land(landing)
    assert [f"raw.{name.lower()}" for name in staging(landing.warehouse)] == [left]
    monkeypatch.setattr(snowflake_staging, "_LEFT_HOURS", 0)
    land(landing, job="job-2")
    assert staging(landing.warehouse) == []


def test_a_staging_table_is_named_by_load_and_content(tmp_path: Path) -> None:
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
    names = {
        staging_table("staged_deals", [tmp_path / file], owner)
        for file, owner in (("a", "job-1"), ("b", "job-1"), ("c", "job-1"), ("a", "job-2"))
    }
    assert len(names) == 3 and all(name.startswith("gtm_staged_") and len(name) < 200 for name in names)


@slow
def test_a_worker_that_is_killed_in_a_merge_loses_and_doubles_nothing(
    emulator: SnowflakeEmulator, settings: WarehouseSettings, landing: Landing, tmp_path: Path
) -> None:
    """Its transaction holds the table until Snowflake ends it: after five idle minutes there, one second here."""
    land(landing, job="job-0")
    emulator.fail(at="statement", match="^merge into raw.hubspot_deals", seconds=1)
    command = [sys.executable, "-m", "tests.warehouse.landing_process", str(tmp_path / "killed"), DEALS]
    environment = emulator.environment(settings.snowflake_database)
    worker = subprocess.Popen(command, cwd=REPOSITORY, env={"PATH": "", "GTM_ENV_FILE": "/dev/null", **environment})
    wait_until(lambda: bool(emulator.log("^copy into gtm_staged_.*hubspot_deals")), "it has copied", seconds=60)
    worker.kill()
    worker.wait()
    assert land(landing, (DEALS,))[DEALS] == LANDED
    assert count(landing.warehouse, f"raw.{DEALS}") == 50 and staging(landing.warehouse) == []
