"""One emulator for all tests of this folder; each has a database of its own in it."""

from collections.abc import Iterator

import pytest

from shared.settings import WarehouseSettings
from shared.warehouse import Warehouse, engine, open_warehouse
from tests.emulator import SnowflakeEmulator


@pytest.fixture(scope="session")
def running_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SnowflakeEmulator]:
    with SnowflakeEmulator(tmp_path_factory.mktemp("snowflake"), "--idle-seconds", "1") as emulator:
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
