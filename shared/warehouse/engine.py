"""The one door to the warehouse. Connections are as short as one statement batch: nobody holds one while a model thinks
or a CRM answers."""

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

        Gives the environment variables that dbt's profile needs.
        """
        ...

    def stage(self, connection: sa.Connection, name: str, rows: pa.Table) -> None:
        """Create or extend the temporary table `name` with `rows`; it ends with the connection."""
        ...


def open_warehouse(settings: WarehouseSettings) -> Warehouse:
    """The warehouse that the settings name. Opens no connection yet.

    Raises:
        TerminalError: `warehouse-not-configured`, with the missing SNOWFLAKE_ keys.
    """
    # Imported late: a DuckDB machine need not load Snowflake's driver (0.6 s, 60 MB), nor the other way round.
    if settings.kind == "snowflake":
        from shared.warehouse.snowflake import SnowflakeWarehouse

        return SnowflakeWarehouse(settings)
    from shared.warehouse.duckdb import DuckdbWarehouse

    return DuckdbWarehouse(settings)
