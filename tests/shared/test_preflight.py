"""What a pod checks and waits for before its process starts."""

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from shared.errors import TerminalError
from shared.operations import preflight
from shared.operations.migrate import SchemaLevel, migrate, read_level
from shared.operations.preflight import require_shared_stores, wait_for_schema
from shared.settings import OperationsSettings, WarehouseSettings
from tests.shared.conftest import run_sql

POSTGRES = "postgresql+psycopg://gtm@127.0.0.1:1/gtm"


@pytest.mark.parametrize(
    ("warehouse", "url", "setting"),
    [("duckdb", POSTGRES, "GTM_WAREHOUSE"), ("snowflake", "", "GTM_OPERATIONS_URL")],
)
def test_a_store_of_one_machine_is_refused(
    warehouse: str, url: str, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GTM_WAREHOUSE", warehouse)
    monkeypatch.setenv("GTM_OPERATIONS_URL", url)
    with pytest.raises(TerminalError, match=setting) as refused:
        require_shared_stores(WarehouseSettings(), OperationsSettings())
    assert refused.value.code == "one-machine-only"


def test_the_process_refuses_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GTM_WAREHOUSE", "duckdb")
    monkeypatch.setenv("GTM_OPERATIONS_URL", POSTGRES)
    monkeypatch.setattr(preflight, "configure_logging", lambda: None)  # it would stay so for the tests that follow
    with capture_logs() as lines:
        assert preflight.main() == 1
    assert [line["code"] for line in lines] == ["one-machine-only"]


def test_it_waits_until_the_migrations_have_run(postgres_url: str, tmp_path: Path) -> None:
    """A server that is away, then an empty database, then one that is migrated."""
    name = f"preflight_{tmp_path.name}"[:60].replace("-", "_")
    seen: list[str | None] = []

    def read() -> SchemaLevel:
        if not seen:
            seen.append("away")
            return read_level(POSTGRES)  # refused
        level = read_level(postgres_url + name)
        if level.current is None:
            migrate(postgres_url + name)
        seen.append(level.current)
        return level

    run_sql(postgres_url, f"create database {name}")
    try:
        assert wait_for_schema(read, threading.Event(), look_seconds=0.01)
        assert seen == ["away", None, read_level(postgres_url + name).head]
    finally:
        run_sql(postgres_url, f"drop database {name}")


def test_a_schema_of_a_later_version_is_taken_as_it_is(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'operations.sqlite3'}"
    migrate(url)
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("update alembic_version set version_num = '9999'"))
    engine.dispose()
    assert read_level(url) == SchemaLevel("9999", read_level(url).head, is_known=False)
    assert wait_for_schema(lambda: read_level(url), threading.Event(), look_seconds=0.01)


def test_it_ends_when_it_is_told_to() -> None:
    stop = threading.Event()

    def read() -> SchemaLevel:
        stop.set()
        return SchemaLevel(None, "0008", is_known=True)

    assert not wait_for_schema(read, stop, look_seconds=0.01)
