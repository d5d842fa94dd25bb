"""The statements that ingest sends to Snowflake, on a stand-in that translates them to DuckDB."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import fakesnow
import pytest
import sqlalchemy as sa

from services.ingest.adapters.loads import record_load
from services.ingest.adapters.raw import LandedCounts, Load
from services.ingest.adapters.raw_tables import create_raw_tables, loads
from shared.settings import WarehouseSettings
from shared.warehouse import Warehouse, engine, open_warehouse

LOAD = Load("job-1", datetime(2026, 3, 1), "mock", "full", is_complete=True, is_baseline=False)


@contextmanager
def without_comments() -> Iterator[None]:
    """The stand-in can't parse `comment on column`, which Snowflake has."""

    def replace(_connection: object, _cursor: object, statement: str, parameters: Any, *_rest: object) -> Any:
        return ("select 1", ()) if statement.lower().startswith("comment on") else (statement, parameters)

    sa.event.listen(sa.Engine, "before_cursor_execute", replace, retval=True)
    try:
        yield
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", replace)


@pytest.fixture
def snowflake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Warehouse]:
    for key in ("ACCOUNT", "USER", "PASSWORD", "WAREHOUSE", "DATABASE", "ROLE"):
        monkeypatch.setenv(f"SNOWFLAKE_{key}", "gtm")
    monkeypatch.setenv("GTM_WAREHOUSE", "snowflake")
    monkeypatch.setattr(engine, "_warehouses", {})  # its connections end with the test
    with fakesnow.patch():
        opened = open_warehouse(WarehouseSettings())
        with without_comments():
            yield opened


def test_a_warehouse_of_an_older_release_gets_what_it_lacks(snowflake: Warehouse) -> None:
    old = "create table raw.hubspot_companies (source_system text, source_record_id text, id text, loaded_at timestamp)"
    with snowflake.core(write=True) as connection:
        connection.execute(sa.text(old))
        connection.execute(sa.text("insert into raw.hubspot_companies (id) values ('1')"))
        create_raw_tables(connection)
        columns = "select id, hs_merged_object_ids, is_deleted from raw.hubspot_companies"
        assert [tuple(row) for row in connection.execute(sa.text(columns))] == [("1", None, None)]
    with snowflake.core(write=True) as connection:
        asked: list[str] = []
        sa.event.listen(connection, "before_cursor_execute", lambda *call: asked.append(call[2].lower()))
        create_raw_tables(connection)
    assert not [one for one in asked if one.startswith(("alter", "create", "comment"))]


def test_a_load_is_recorded_once(snowflake: Warehouse) -> None:
    with snowflake.core(write=True) as connection:
        loads.create(connection)
        for counts in (LandedCounts(2, 2, 0, 0, 0, 0), LandedCounts(2, 0, 0, 2, 0, 0), LandedCounts(3, 1, 0, 2, 0, 0)):
            record_load(connection, LOAD, {"hubspot_deals": counts})
        recorded = "select load_id, source_table, is_complete, seen, inserted, unchanged from raw.loads"
        rows = [tuple(row) for row in connection.execute(sa.text(recorded))]
    assert rows == [("job-1", "hubspot_deals", True, 3, 1, 2)]
