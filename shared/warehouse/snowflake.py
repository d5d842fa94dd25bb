"""Snowflake through snowflake-sqlalchemy: one database, its own concurrency, a pool of connections."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pyarrow as pa
import sqlalchemy as sa
from snowflake.sqlalchemy import URL

from shared.settings import WarehouseSettings

_SCHEMAS = ("raw", "analytics", "reverse_etl_outbound")
_STAGE_SCHEMA = "raw"
_STAGE_ROWS_PER_STATEMENT = 1000
# A session ends after four idle hours, and the dialect can't tell that from any other error: young ones never meet it.
_SESSION_SECONDS = 3600


class SnowflakeWarehouse:
    """See `shared.warehouse.engine.Warehouse`."""

    def __init__(self, settings: WarehouseSettings) -> None:
        settings.require_snowflake()
        self._settings = settings
        self._engine = sa.create_engine(
            URL(
                account=settings.snowflake_account,
                user=settings.snowflake_user,
                password=settings.snowflake_password.get_secret_value(),
                warehouse=settings.snowflake_warehouse,
                database=settings.snowflake_database,
                role=settings.snowflake_role,
            ),
            connect_args={"session_parameters": {"TIMEZONE": "UTC", "QUERY_TAG": "fleet-gtm"}},
            pool_pre_ping=True,
            pool_recycle=_SESSION_SECONDS,
        )
        self.dialect: sa.Dialect = self._engine.dialect
        self._has_schemas = False

    @contextmanager
    def core(self, *, write: bool = False) -> Iterator[sa.Connection]:
        with self._engine.begin() as connection:
            if write:  # a reader needs no right to create
                self._create_schemas(connection)
                connection.execute(sa.text(f"use schema {_STAGE_SCHEMA}"))  # where `stage` puts its tables
            yield connection

    outbound = core

    @contextmanager
    def core_beside_outbound(self) -> Iterator[sa.Connection]:
        with self.core() as connection:
            yield connection

    @contextmanager
    def reserve_core(self) -> Iterator[Mapping[str, str]]:
        """Snowflake isolates by itself; dbt's profile reads the SNOWFLAKE_ keys."""
        settings = self._settings
        yield {
            "SNOWFLAKE_ACCOUNT": settings.snowflake_account,
            "SNOWFLAKE_USER": settings.snowflake_user,
            "SNOWFLAKE_PASSWORD": settings.snowflake_password.get_secret_value(),
            "SNOWFLAKE_WAREHOUSE": settings.snowflake_warehouse,
            "SNOWFLAKE_DATABASE": settings.snowflake_database,
            "SNOWFLAKE_SCHEMA": settings.snowflake_schema,
            "SNOWFLAKE_ROLE": settings.snowflake_role,
        }

    def stage(self, connection: sa.Connection, name: str, rows: pa.Table) -> None:
        columns = ", ".join(f"{field.name} {_snowflake_type(field.type)}" for field in rows.schema)
        connection.execute(sa.text(f"create temporary table if not exists {name} ({columns})"))
        table = sa.table(name, *(sa.column(field) for field in rows.column_names))
        for batch in rows.to_batches(max_chunksize=_STAGE_ROWS_PER_STATEMENT):
            connection.execute(sa.insert(table), batch.to_pylist())

    def _create_schemas(self, connection: sa.Connection) -> None:
        if self._has_schemas:
            return
        for schema in _SCHEMAS:
            connection.execute(sa.text(f"create schema if not exists {schema}"))
        self._has_schemas = True


def _snowflake_type(arrow_type: pa.DataType) -> str:
    if pa.types.is_boolean(arrow_type):
        return "boolean"
    if pa.types.is_timestamp(arrow_type):
        return "timestamp_ntz"
    if pa.types.is_integer(arrow_type):
        return "integer"
    if pa.types.is_floating(arrow_type):
        return "float"
    if pa.types.is_decimal(arrow_type):
        return f"decimal({arrow_type.precision},{arrow_type.scale})"
    return "varchar"
