"""`gtm warehouse init` on both engines: everything once, nothing the second time, and nothing at all with --dry-run."""

import json
import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from cli.main import app
from services.ingest.adapters.raw_tables import create_raw_tables, raw_metadata
from services.scoring.adapters.outbound_tables import create_outbound_tables
from shared.errors import TerminalError
from shared.settings import WarehouseSettings
from shared.warehouse import Warehouse, engine, open_warehouse
from shared.warehouse.setup import set_up
from tests.emulator import SnowflakeEmulator

SetUp = Callable[..., list[str]]


@pytest.fixture(params=["duckdb", "snowflake"])
def ready(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WarehouseSettings:
    monkeypatch.setattr(engine, "_warehouses", {})
    if request.param == "duckdb":
        return WarehouseSettings(GTM_DATA_DIR=tmp_path)  # type: ignore[call-arg]
    settings: WarehouseSettings = request.getfixturevalue("settings")
    return settings


def test_everything_once_and_then_nothing(ready: WarehouseSettings) -> None:
    def outbound(*, is_dry_run: bool) -> list[str]:
        return set_up(ready, "outbound", ["reverse_etl_outbound"], create_outbound_tables, is_dry_run=is_dry_run)

    shown = outbound(is_dry_run=True)
    assert not (ready.data_dir / "warehouse").exists()
    assert sum(one.lower().startswith("create table") for one in shown) == 3 == len({*shown}) - len(shown) + 3
    ran = outbound(is_dry_run=False)
    assert set(ran) <= set(shown)  # DuckDB makes its schema with the file
    assert outbound(is_dry_run=False) == outbound(is_dry_run=True) == []
    with open_warehouse(ready).outbound() as connection:
        listing = "select count(*) from information_schema.tables where lower(table_schema) = 'reverse_etl_outbound'"
        assert connection.execute(sa.text(listing)).scalar_one() == 3


def test_a_warehouse_of_an_older_release_gets_what_it_lacks(tmp_path: Path) -> None:
    old = WarehouseSettings(GTM_DATA_DIR=tmp_path)  # type: ignore[call-arg]

    def raw(*, is_dry_run: bool) -> list[str]:
        return set_up(old, "core", ["raw"], create_raw_tables, is_dry_run=is_dry_run)

    def older(connection: sa.Connection) -> None:
        raw_metadata.create_all(connection)
        connection.exec_driver_sql("alter table raw.hubspot_companies drop column fleet_size")

    set_up(old, "core", ["raw"], older, is_dry_run=False)
    (shown,) = raw(is_dry_run=True)
    assert "alter table raw.hubspot_companies add column fleet_size" in shown.lower()
    assert raw(is_dry_run=False) == [shown] and raw(is_dry_run=False) == []


def test_a_role_that_may_not_is_told_the_grant(
    settings: WarehouseSettings, emulator: SnowflakeEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_warehouses", {})
    said = "SQL access control error:\nInsufficient privileges to operate on schema 'RAW'"
    emulator.fail(at="statement", match="^create table", code="003001", sqlstate="42501", message=said)
    with pytest.raises(TerminalError, match="grant usage, create table on schema raw to"):
        set_up(settings, "core", ["raw"], create_raw_tables, is_dry_run=False)


SERVICES = [
    ("ingest", "raw.loads"),
    ("transform", "raw.public_suffixes"),
    ("scoring", "reverse_etl_outbound.lead_scores"),
]


@pytest.mark.parametrize(("service", "table"), SERVICES, ids=[service for service, _ in SERVICES])
def test_each_service_shows_its_own(
    service: str, table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GTM_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setattr(sys, "argv", ["table_setup", "--dry-run"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(f"services.{service}.adapters.table_setup", run_name="__main__")
    *shown, last = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert ended.value.code == 0 and last == {"done": True}
    assert any(re.match(rf"create table (if not exists )?{table}\b", one["statement"], re.I) for one in shown)
    assert not (tmp_path / "var").exists()


def test_the_command_says_what_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GTM_WAREHOUSE", "snowflake")
    refused = CliRunner().invoke(app, ["warehouse", "init", "--json"])
    assert (refused.exit_code, json.loads(refused.stdout)["code"]) == (1, "warehouse-not-configured")


def test_writers_alone_make_their_schema_and_once(emulator: SnowflakeEmulator, snowflake: Warehouse) -> None:
    for read in (snowflake.core, snowflake.outbound, snowflake.core_beside_outbound):
        with read() as connection:
            connection.execute(sa.text("select 1"))
    assert emulator.log("^create schema") == []
    for _ in range(2):
        with snowflake.outbound(write=True) as connection:
            connection.execute(sa.text("select 1"))
        snowflake._engine.dispose()  # type: ignore[attr-defined]  # the next session is a new one, as after an hour
    assert [one["text"].split()[-1].lower() for one in emulator.log("^create schema")] == ["reverse_etl_outbound"]
