"""Snowflake through snowflake-sqlalchemy: one database, its own concurrency, a pool of connections."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from shared.settings import WarehouseSettings
from shared.warehouse.merge import MergeCounts, merge_staged
from shared.warehouse.snowflake_connection import create_engine, dbt_environment, explaining_refusals

_SCHEMAS = ("raw", "analytics", "reverse_etl_outbound")
_CORE_STAGE_SCHEMA = "raw"
_OUTBOUND_STAGE_SCHEMA = "reverse_etl_outbound"
_STAGE_ROWS_PER_STATEMENT = 1000


class SnowflakeWarehouse:
    """See `shared.warehouse.engine.Warehouse`. What Snowflake refuses leaves every connection as a GtmError."""

    def __init__(self, settings: WarehouseSettings) -> None:
        self._settings = settings
        self._engine = create_engine(settings)
        self.dialect: sa.Dialect = self._engine.dialect
        self._has_schemas = False

    @contextmanager
    def core(self, *, write: bool = False) -> Iterator[sa.Connection]:
        with self._open(_CORE_STAGE_SCHEMA if write else None) as connection:
            yield connection

    @contextmanager
    def outbound(self, *, write: bool = False) -> Iterator[sa.Connection]:
        with self._open(_OUTBOUND_STAGE_SCHEMA if write else None) as connection:
            yield connection

    @contextmanager
    def _open(self, stage_schema: str | None) -> Iterator[sa.Connection]:
        """`stage_schema`: where `stage` puts its tables, of a writer; a reader needs no right to create."""
        with explaining_refusals(self._settings), self._engine.begin() as connection:
            if stage_schema is not None:
                self._create_schemas(connection)
                connection.execute(sa.text(f"use schema {stage_schema}"))
            yield connection

    @contextmanager
    def core_beside_outbound(self) -> Iterator[sa.Connection]:
        with self.core() as connection:
            yield connection

    @contextmanager
    def reserve_core(self) -> Iterator[Mapping[str, str]]:
        """Snowflake isolates by itself; dbt's profile reads what this gives."""
        yield dbt_environment(self._settings)

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
        """Only what is missing: `create schema if not exists` needs the right to create also where there is nothing to
        create, and a loader has no business with that."""
        if self._has_schemas:
            return
        listing = connection.exec_driver_sql(f"show terse schemas in database {self._settings.snowflake_database}")
        present = {str(row["name"]).lower() for row in listing.mappings()}
        for schema in _SCHEMAS:
            if schema not in present:
                connection.exec_driver_sql(f"create schema if not exists {schema}")
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
