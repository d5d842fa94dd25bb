"""RAW tables of an earlier release on DuckDB: their primary key goes, their rows stay."""

from collections.abc import Sequence

import sqlalchemy as sa

from services.ingest.adapters.raw_tables import RAW_TABLES

_KEYED = "select table_name from duckdb_constraints() where schema_name = 'raw' and constraint_type = 'PRIMARY KEY'"


def drop_primary_keys(connection: sa.Connection, tables: Sequence[str]) -> None:
    """Copy those of the tables that have one into a table without, once. A repeat, or another engine: a no-op.

    Raises:
        TransientError, sa.exc.DBAPIError: as any statement; the caller's transaction then leaves all as it was.
    """
    if connection.dialect.name != "duckdb":
        return
    keyed = set(connection.scalars(sa.text(_KEYED)))
    for table in (RAW_TABLES[name] for name in tables if name in keyed):
        names = ", ".join(column.name for column in table.columns)
        connection.exec_driver_sql(f"alter table raw.{table.name} rename to {table.name}_keyed")
        table.create(connection)
        connection.exec_driver_sql(f"insert into raw.{table.name} ({names}) select {names} from raw.{table.name}_keyed")
        connection.exec_driver_sql(f"drop table raw.{table.name}_keyed")
