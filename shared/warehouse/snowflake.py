"""Snowflake through snowflake-sqlalchemy: one database, its own concurrency, a pool of connections."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from shared.settings import WarehouseSettings
from shared.warehouse.arrow_rows import to_arrow
from shared.warehouse.engine import RAW_AT
from shared.warehouse.merge import MergeCounts, merge_staged
from shared.warehouse.snowflake_connection import create_engine, dbt_environment, explaining_refusals
from shared.warehouse.snowflake_staging import (
    column_type,
    end_staging,
    is_staging_gone,
    stage_files,
    stage_table,
    staging_gone,
)
from shared.warehouse.snowflake_transaction import ensure_kept

_CORE_STAGE_SCHEMA = "raw"
_OUTBOUND_STAGE_SCHEMA = "reverse_etl_outbound"
# A statement's text, values included, must stay under 1 MB; larger batches come as files.
_TEXT_BYTES: Final = 200_000
_TEXT_ROWS: Final = 1_000
_SCHEMA: Final = "gtm_schema"  # in a connection's `info`


class SnowflakeWarehouse:
    """See `shared.warehouse.engine.Warehouse`. What Snowflake refuses leaves every connection as a GtmError."""

    def __init__(self, settings: WarehouseSettings) -> None:
        self._settings = settings
        self._engine = create_engine(settings)
        self.dialect: sa.Dialect = self._engine.dialect
        self._known_schemas: set[str] = set()

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
        with explaining_refusals(self._settings), self._engine.connect() as connection:
            try:
                with explaining_refusals(self._settings), connection.begin():
                    if stage_schema is not None:
                        self._ensure_schema(connection, stage_schema)
                        _use_schema(connection, stage_schema)
                    yield connection
                    ensure_kept(connection)
            except BaseException as error:
                if is_staging_gone(error):
                    end_staging(connection, None)
                    raise staging_gone(str(error).splitlines()[0]) from error
                end_staging(connection, "own" if _is_final(error) else None)
                raise
            end_staging(connection, "all")

    @contextmanager
    def core_beside_outbound(self) -> Iterator[sa.Connection]:
        with self.core() as connection:
            yield connection

    @contextmanager
    def reserve_core(self) -> Iterator[Mapping[str, str]]:
        """Nobody is kept out: RAW is read as it is now, by time travel, whatever lands meanwhile (ADR 0018). The moment
        is the server's, in milliseconds, which no session's time zone or format can bend; it wakes no warehouse."""
        with self.core() as connection:
            now = int(connection.exec_driver_sql("select date_part(epoch_millisecond, sysdate())").scalar_one())
        yield {**dbt_environment(self._settings), RAW_AT: f" at(timestamp => to_timestamp({now}, 3))"}

    def stage(
        self,
        connection: sa.Connection,
        name: str,
        columns: Sequence[sa.Column[Any]],
        rows: Sequence[Mapping[str, Any]],
    ) -> None:
        table = to_arrow(columns, rows)
        listing = ", ".join(f"{field.name} {column_type(field.type)}" for field in table.schema)
        connection.exec_driver_sql(f"create or replace temporary table {name} ({listing})")
        if table.nbytes > _TEXT_BYTES or table.num_rows > _TEXT_ROWS:
            stage_table(connection, name, table)
        elif table.num_rows:
            target = sa.table(name, *(sa.column(field) for field in table.column_names))
            connection.execute(sa.insert(target), table.to_pylist())

    def load_parquet(self, connection: sa.Connection, name: str, files: Sequence[Path], *, owner: str) -> None:
        stage_files(connection, name, files, owner)

    def derive(self, connection: sa.Connection, name: str, select: str, *, rows: int) -> None:
        connection.exec_driver_sql(f"create or replace temporary table {name} as {select}")

    def merge(
        self, connection: sa.Connection, target: sa.Table, staged: str, *, update_when: str, prune_by: str
    ) -> MergeCounts:
        return merge_staged(connection, target, staged, update_when=update_when, prune_by=prune_by)

    def _ensure_schema(self, connection: sa.Connection, schema: str) -> None:
        """Created where it is missing, and nothing asked where it is there: `create schema if not exists` needs the
        right to create either way. Of the other schemas a role with least privilege does not even see the names."""
        if schema in self._known_schemas:
            return
        database = self._settings.snowflake_database
        listing = connection.exec_driver_sql(f"show terse schemas like '{schema}' in database {database}")
        # By the whole name: in LIKE, `_` is any character.
        if schema not in {str(row["name"]).lower() for row in listing.mappings()}:
            connection.exec_driver_sql(f"create schema if not exists {schema}")
            connection.info.pop(_SCHEMA, None)  # who creates a schema is in it
        self._known_schemas.add(schema)


def _is_final(error: BaseException) -> bool:
    """No attempt follows that could take up what this one staged. After a passing failure one does, after a time limit
    too; after a lost lease one is at work already, with these very tables."""
    return isinstance(error, sa.exc.DataError) or getattr(error, "is_transient", True) is False


def _use_schema(connection: sa.Connection, schema: str) -> None:
    """For names without one. It stays with the session, which the pool gives to others: asked for where it differs."""
    if connection.info.get(_SCHEMA) != schema:
        connection.exec_driver_sql(f"use schema {schema}")
        connection.info[_SCHEMA] = schema
