"""The warehouse's two ways: short connections that commit or roll back, and one merge that repeats without effect."""

import os
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from shared.errors import TerminalError
from shared.settings import WarehouseSettings
from shared.warehouse import (
    MergeCounts,
    Warehouse,
    merge_staged,
    open_warehouse,
    stage_rows,
)

leads = sa.Table(
    "leads",
    sa.MetaData(),
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("score", sa.BigInteger),
    sa.Column("arr_usd", sa.Numeric(18, 2)),
    sa.Column("scored_at", sa.DateTime),
    sa.Column("is_open", sa.Boolean),
    schema="reverse_etl_outbound",
)
CHANGED = "stored.score <> offered.score"


def lead(id: str, score: int) -> dict[str, object]:
    return {"id": id, "score": score, "arr_usd": Decimal("10.50"), "scored_at": datetime(2026, 1, 1), "is_open": None}


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    opened = open_warehouse(WarehouseSettings(GTM_DATA_DIR=tmp_path))  # type: ignore[call-arg]
    with opened.outbound(write=True) as connection:
        leads.create(connection)
    return opened


def merge(warehouse: Warehouse, *rows: dict[str, object]) -> MergeCounts:
    with warehouse.outbound(write=True) as connection:
        counts = MergeCounts()
        for staged in stage_rows(warehouse, connection, leads, rows, CHANGED):
            counts += merge_staged(connection, staged.target, staged.offered, update_when=staged.update_when)
        return counts


def test_a_merge_inserts_updates_and_then_does_nothing(warehouse: Warehouse) -> None:
    assert merge(warehouse, lead("a", 1), lead("b", 1)) == MergeCounts(inserted=2)
    assert merge(warehouse, lead("a", 1), lead("b", 2), lead("c", 1)) == MergeCounts(1, 1, 1)
    assert merge(warehouse, lead("a", 1), lead("b", 2), lead("c", 1)) == MergeCounts(unchanged=3)
    assert merge(warehouse) == MergeCounts()
    with warehouse.outbound() as connection:
        stored = connection.execute(sa.select(leads).order_by(leads.c.id)).all()
    assert [tuple(row) for row in stored] == [
        (id, score, Decimal("10.50"), datetime(2026, 1, 1), None) for id, score in (("a", 1), ("b", 2), ("c", 1))
    ]


def test_an_error_rolls_everything_back(warehouse: Warehouse) -> None:
    with pytest.raises(ZeroDivisionError):
        with warehouse.outbound(write=True) as connection:
            [staged] = stage_rows(warehouse, connection, leads, [lead("a", 1)], CHANGED)
            merge_staged(connection, leads, staged.offered, update_when=CHANGED)
            raise ZeroDivisionError
    with warehouse.outbound() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(leads)).scalar_one() == 0


def test_values_are_staged_as_they_are(warehouse: Warehouse) -> None:
    odd = {
        "id": "a\x00b \U0001f600 \u2028 \"quoted\" \\\\ 'x'; drop table leads",
        "score": 2**62 + 1,
        "arr_usd": Decimal("-9999999999999999.99"),
        "scored_at": datetime(1, 1, 1, 0, 0, 0, 1),
        "is_open": False,
    }
    merge(warehouse, odd, {**odd, "id": "12", "score": None, "arr_usd": None, "scored_at": None, "is_open": None})
    with warehouse.outbound() as connection:
        stored = connection.execute(sa.select(leads).order_by(leads.c.id)).all()
    assert [tuple(row) for row in stored] == [("12", None, None, None, None), tuple(odd.values())]


@pytest.mark.parametrize(
    ("column", "value"),
    [("score", 1.5), ("score", "7"), ("score", True), ("score", 2**63), ("id", 5), ("id", "\ud800"), ("is_open", 1)],
    ids=["fraction", "text", "bool", "too large", "number", "half a character", "one"],
)
def test_a_value_of_another_type_is_refused_and_not_made_to_fit(
    warehouse: Warehouse, column: str, value: object
) -> None:
    with pytest.raises((TypeError, ValueError), match="(?s)^(?!.*other row)"):
        merge(warehouse, {**lead("other row", 1)}, {**lead("a", 1), column: value})
    with warehouse.outbound() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(leads)).scalar_one() == 0


def test_readers_come_before_the_first_writer(tmp_path: Path) -> None:
    empty = open_warehouse(WarehouseSettings(GTM_DATA_DIR=tmp_path / "new"))  # type: ignore[call-arg]
    with empty.core() as connection:
        assert connection.execute(sa.text("select 1")).scalar_one() == 1
    with empty.core_beside_outbound() as connection:
        assert connection.execute(sa.text("select 1")).scalar_one() == 1


def test_core_and_outbound_are_read_together_by_their_own_names(warehouse: Warehouse) -> None:
    merge(warehouse, lead("a", 7))
    with warehouse.core(write=True) as connection:
        connection.execute(sa.text("create table analytics.dim_accounts as select 'a' as account_id"))
    with warehouse.core_beside_outbound() as connection:
        joined = "select score from analytics.dim_accounts join reverse_etl_outbound.leads on account_id = id"
        assert connection.execute(sa.text(joined)).scalar_one() == 7


def test_a_reader_can_not_write(warehouse: Warehouse) -> None:
    with pytest.raises(sa.exc.ProgrammingError, match="read-only"):
        with warehouse.outbound() as connection:
            connection.execute(leads.delete())


def test_snowflake_without_settings_names_each_missing_key(tmp_path: Path) -> None:
    settings = WarehouseSettings(GTM_WAREHOUSE="snowflake", SNOWFLAKE_USER="loader")  # type: ignore[call-arg]
    with pytest.raises(TerminalError, match="SNOWFLAKE_ACCOUNT, SNOWFLAKE_WAREHOUSE"):
        open_warehouse(settings)


def test_one_warehouse_serves_a_process_per_settings(tmp_path: Path) -> None:
    def opened(folder: str) -> Warehouse:
        return open_warehouse(WarehouseSettings(GTM_DATA_DIR=tmp_path / folder))  # type: ignore[call-arg]

    first = opened("a")
    assert opened("a") is first
    assert opened("b") is not first
    child = os.fork()
    if child == 0:
        os._exit(0 if opened("a") is not first else 1)  # a session must not be shared with the parent
    assert os.waitpid(child, 0)[1] == 0


def test_what_does_not_fit_into_memory_goes_beside_the_file_wherever_a_process_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = WarehouseSettings(  # type: ignore[call-arg]  # by their variables' names
        GTM_DATA_DIR=tmp_path, GTM_DUCKDB_WORKER_MEMORY_LIMIT="60MB", GTM_DUCKDB_WORKER_THREADS=1
    )
    opened, folder = open_warehouse(settings), settings.outbound_path.parent
    with opened.outbound(), opened.core():
        pass
    killed = folder / "outbound.duckdb.spill-1-1"
    killed.mkdir()
    monkeypatch.chdir("/proc")  # as read-only as a container's root
    for opening in (opened.core_beside_outbound, opened.core, opened.outbound):
        with opening() as connection:
            spill = connection.exec_driver_sql("select current_setting('temp_directory')").scalar_one()
            assert Path(spill).parent == folder and ".spill-" in spill
    with opened.outbound(write=True) as connection:
        assert not killed.exists()
        sort = "create temporary table large as select md5(i::varchar) as text from range(800000) t(i) order by text"
        connection.exec_driver_sql(sort)
        assert list(folder.glob("outbound.duckdb.spill-*/duckdb_temp_*"))
    assert list(folder.glob("*.spill-*")) == []
