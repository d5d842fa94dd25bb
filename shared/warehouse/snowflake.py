"""Snowflake through snowflake-sqlalchemy: one database, its own concurrency, a pool of connections."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
from snowflake.sqlalchemy import URL

from shared.settings import WarehouseSettings
from shared.warehouse.merge import MergeCounts, merge_staged

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

    def load_parquet(self, connection: sa.Connection, name: str, files: Sequence[Path]) -> None:
        """PUT into the table's own stage, then COPY; as text, since the dialect's CopyInto can't match by name."""
        columns = ", ".join(f"{field.name} {_snowflake_type(field.type)}" for field in pq.read_schema(files[0]))
        connection.exec_driver_sql(f"create or replace temporary table {name} ({columns})")
        for path in files:
            connection.exec_driver_sql(f"put 'file://{_quoted(path)}' @%{name} auto_compress = false overwrite = true")
        connection.exec_driver_sql(
            f"copy into {name} from @%{name} file_format = (type = parquet use_logical_type = true)"
            " match_by_column_name = case_insensitive on_error = abort_statement purge = true"
        )

    def derive(self, connection: sa.Connection, name: str, select: str, *, rows: int) -> None:
        connection.exec_driver_sql(f"create or replace temporary table {name} as {select}")

    def merge(
        self, connection: sa.Connection, target: sa.Table, staged: str, *, update_when: str, prune_by: str
    ) -> MergeCounts:
        return merge_staged(connection, target, staged, update_when=update_when, prune_by=prune_by)

    def _create_schemas(self, connection: sa.Connection) -> None:
        if self._has_schemas:
            return
        for schema in _SCHEMAS:
            connection.execute(sa.text(f"create schema if not exists {schema}"))
        self._has_schemas = True


def _quoted(path: Path) -> str:
    return str(path.resolve()).replace("'", "\\'")


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
