"""One emulator for all tests of this folder; each has a database of its own in it."""

import os
from collections.abc import Iterator

import pytest

from shared.settings import WarehouseSettings
from shared.warehouse import Warehouse, engine, open_warehouse
from tests.emulator import SnowflakeEmulator


@pytest.fixture(scope="session")
def running_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SnowflakeEmulator]:
    # Snowflake's five minutes. Twenty writers on a busy machine may leave one idle for a second though nobody died.
    idle = "10" if "WAREHOUSE_FAULTS" in os.environ else "1"
    with SnowflakeEmulator(tmp_path_factory.mktemp("snowflake"), "--idle-seconds", idle) as emulator:
        yield emulator


@pytest.fixture
def emulator(running_emulator: SnowflakeEmulator) -> Iterator[SnowflakeEmulator]:
    running_emulator.reset()
    yield running_emulator
    running_emulator.reset()


@pytest.fixture
def settings(emulator: SnowflakeEmulator) -> WarehouseSettings:
    return emulator.settings()


@pytest.fixture
def snowflake(settings: WarehouseSettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Warehouse]:
    monkeypatch.setattr(engine, "_warehouses", {})  # its sessions end with the test
    warehouse = open_warehouse(settings)
    yield warehouse
    warehouse._engine.dispose()  # type: ignore[attr-defined]
