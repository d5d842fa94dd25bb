"""The one door to the warehouse. Connections are as short as one statement batch: nobody holds one while a model thinks
or a CRM answers."""

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, Protocol

import sqlalchemy as sa

from shared.settings import WarehouseSettings
from shared.warehouse.merge import MergeCounts

RAW_AT: Final = "DBT_ENV_CUSTOM_ENV_GTM_RAW_AT"
"""Among what `reserve_core` gives: what follows a RAW table's name in a query; to dbt's project it is GTM_RAW_AT."""


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
        """Keep RAW as it is for a subprocess (dbt) that works long in it and in ANALYTICS: either every other process
        is kept out, or queries with `RAW_AT` don't see what lands meanwhile.

        While no subprocess works, the same thread may open `core()` within.
        Gives the environment variables that dbt's profile and project need.
        """
        ...

    def stage(
        self,
        connection: sa.Connection,
        name: str,
        columns: Sequence[sa.Column[Any]],
        rows: Sequence[Mapping[str, Any]],
    ) -> None:
        """Make the temporary table `name` of a few thousand rows, anew where it is there; it ends with the connection.

        Raises:
            ValueError, TypeError, OverflowError: a value doesn't fit its column.
        """
        ...

    def load_parquet(self, connection: sa.Connection, name: str, files: Sequence[Path], *, owner: str) -> None:
        """Give the rows of the files, which have one schema, the temporary name `name`, by the engine's bulk loader.

        `owner` names the load that they are for: an attempt that repeats it finds what an earlier one had brought over.
        The files stay as long as the connection: an engine that reads them in place does so at each use of the name.
        """
        ...

    def derive(self, connection: sa.Connection, name: str, select: str, *, rows: int) -> None:
        """Give the result of a SELECT of about `rows` rows, without parameters, the temporary name `name`.

        What it reads must not change while the name is in use: it may be read again at each use.
        """
        ...

    def merge(
        self, connection: sa.Connection, target: sa.Table, staged: str, *, update_when: str, prune_by: str
    ) -> MergeCounts:
        """Merge a batch of any size as the engine does it best. Arguments: those of `merge_staged`.

        The transaction must be the only one that writes `target`: keys are not checked by an index.
        """
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
