"""The one door to the warehouse. Connections are as short as one statement batch: nobody holds one while a model thinks
or a CRM answers."""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol

import pyarrow as pa
import sqlalchemy as sa

from shared.settings import WarehouseSettings


class Warehouse(Protocol):
    """What both engines offer. Every connection is one transaction: committed on a clean exit, else rolled back."""

    dialect: sa.Dialect

    def core(self, *, write: bool = False) -> AbstractContextManager[sa.Connection]:
        """RAW and ANALYTICS."""
        ...

    def outbound(self, *, write: bool = False) -> AbstractContextManager[sa.Connection]:
        """REVERSE_ETL_OUTBOUND."""
        ...

    def core_beside_outbound(self) -> AbstractContextManager[sa.Connection]:
        """All three schemas in one read-only connection, for a join that skips what is already scored."""
        ...

    def reserve_core(self) -> AbstractContextManager[Mapping[str, str]]:
        """Keep every other process out of RAW and ANALYTICS while a subprocess (dbt) works in them.

        While no subprocess does, the same thread may open `core()` within.
        Gives the environment variables that dbt's profile needs.
        """
        ...

    def stage(self, connection: sa.Connection, name: str, rows: pa.Table) -> None:
        """Create or extend the temporary table `name` with `rows`; it ends with the connection."""
        ...


_warehouses: dict[WarehouseSettings, Warehouse] = {}  # settings are frozen: equal by their fields, the folder's too


def open_warehouse(settings: WarehouseSettings) -> Warehouse:
    """The process's warehouse for these settings. Opens no connection yet.

    One a process, since on Snowflake a new one means a new login, for every request and every job.

    Raises:
        TerminalError: `warehouse-not-configured`, with the missing SNOWFLAKE_ keys.
    """
    if settings not in _warehouses:
        # Of two threads that come first at once, both get the one that was kept; the other one never connected.
        return _warehouses.setdefault(settings, _make_warehouse(settings))
    return _warehouses[settings]


# A forked Celery child must not share Snowflake's sessions with its parent.
os.register_at_fork(after_in_child=_warehouses.clear)


def _make_warehouse(settings: WarehouseSettings) -> Warehouse:
    # Imported late: a DuckDB machine need not load Snowflake's driver (0.6 s, 60 MB), nor the other way round.
    if settings.kind == "snowflake":
        from shared.warehouse.snowflake import SnowflakeWarehouse

        return SnowflakeWarehouse(settings)
    from shared.warehouse.duckdb import DuckdbWarehouse

    return DuckdbWarehouse(settings)
