"""DuckDB embedded on one machine: two files, a lock around every opening, no pool.

Measured reasons: one process at a time may write a file; a pooled connection would keep it locked after check-in; and
without the outer lock DuckDB 2.0 lost commits (tests/shared/test_duckdb_commits.py).
"""

import json
import os
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

import duckdb
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from shared.settings import WarehouseSettings
from shared.warehouse.budget import watch
from shared.warehouse.filelock import file_lock
from shared.warehouse.json_rows import json_type, to_json
from shared.warehouse.merge import MergeCounts
from shared.warehouse.replace import replace_staged

_CORE_SCHEMAS = ("raw", "analytics")
_OUTBOUND_SCHEMAS = ("reverse_etl_outbound",)
# Larger results are read again at each use: writing and reading them as a table costs more memory and time.
_ROWS_OF_A_TABLE: Final = 500_000
_OUTBOUND_ROW_GROUP: Final = 8192
_IN_MEMORY: Final = "duckdb:///:memory:"


class DuckdbWarehouse:
    """See `shared.warehouse.engine.Warehouse`."""

    def __init__(self, settings: WarehouseSettings) -> None:
        self._settings = settings
        self._reserved_by: int | None = None
        self._engines: dict[tuple[str, bool], sa.Engine] = {}
        self.dialect: sa.Dialect = sa.create_engine("duckdb:///:memory:", poolclass=NullPool).dialect

    @contextmanager
    def core(self, *, write: bool = False) -> Iterator[sa.Connection]:
        with self._open(self._settings.core_path, _CORE_SCHEMAS, write=write) as connection:
            yield connection

    @contextmanager
    def outbound(self, *, write: bool = False) -> Iterator[sa.Connection]:
        path, url = self._settings.outbound_path, _IN_MEMORY if write else None
        with self._open(path, _OUTBOUND_SCHEMAS, write=write, url=url) as connection:
            if write:
                # In small groups of rows, since scoring writes some hundred rows at a time: closing the file packs the
                # last group anew. For 500 rows into 80,000 that took 1.3 s and 190 MB in groups of 122,880, and 0.1 s
                # and 80 MB in these. No property of the file: who opens it otherwise packs it as usual.
                options = f"row_group_size {_OUTBOUND_ROW_GROUP}"
                _prepare(connection, f"attach '{_quoted(path)}' as outbound ({options})")
                _prepare(connection, "use outbound")
                _prepare(connection, "set threads = 1")  # a second one gains nothing here, and takes 12 MB
            yield connection

    @contextmanager
    def core_beside_outbound(self) -> Iterator[sa.Connection]:
        core, outbound = self._settings.core_path, self._settings.outbound_path
        self._create(core, _CORE_SCHEMAS)
        self._create(outbound, _OUTBOUND_SCHEMAS)
        # Always core first, then outbound: one order for all processes, so two can't wait for each other.
        with self._lock(core, exclusive=False), self._lock(outbound, exclusive=False):
            engine = self._engine(_IN_MEMORY)
            with engine.begin() as connection:
                _spill_beside(connection, outbound)
                _mirror(connection, core, "core")
                _mirror(connection, outbound, "outbound")
                yield connection

    @contextmanager
    def reserve_core(self) -> Iterator[Mapping[str, str]]:
        self._create(self._settings.core_path, _CORE_SCHEMAS)
        with self._lock(self._settings.core_path, exclusive=True):
            self._reserved_by = threading.get_ident()
            try:
                yield {"GTM_DUCKDB_CORE_PATH": str(self._settings.core_path.resolve())}
            finally:
                self._reserved_by = None

    def stage(
        self,
        connection: sa.Connection,
        name: str,
        columns: Sequence[sa.Column[Any]],
        rows: Sequence[Mapping[str, Any]],
    ) -> None:
        """As one text of JSON: by way of Arrow a worker that does nothing else with it would hold 45 MB more."""
        raw = connection.connection.driver_connection
        assert raw is not None
        shape = json.dumps({column.name: json_type(column) for column in columns})
        # A row at a time: DuckDB takes 100 MB to make 500 leads of one list of them.
        objects = """select unnest(from_json($rows, '["JSON"]')) as object"""
        read = f"select unnest(from_json_strict(object, '{shape}')) from ({objects})"
        try:
            raw.execute(f"create or replace temporary table {name} as {read}", {"rows": to_json(columns, rows)})
        except (duckdb.InvalidInputException, duckdb.DataError) as error:
            # Without what follows, which is the rows.
            raise ValueError(f"a row does not fit its table: {str(error).partition(' Input:')[0][:200]}") from None

    def load_parquet(self, connection: sa.Connection, name: str, files: Sequence[Path], *, owner: str) -> None:
        paths = ", ".join(f"'{_quoted(path)}'" for path in files)
        select = f"select * from read_parquet([{paths}])"
        connection.exec_driver_sql(f"create or replace temporary view {name} as {select}")

    def derive(self, connection: sa.Connection, name: str, select: str, *, rows: int) -> None:
        kind = "table" if rows <= _ROWS_OF_A_TABLE else "view"
        connection.exec_driver_sql(f"create or replace temporary {kind} {name} as {select}")

    def merge(
        self, connection: sa.Connection, target: sa.Table, staged: str, *, update_when: str, prune_by: str
    ) -> MergeCounts:
        # `prune_by` is not needed: a join of DuckDB looks at the least and the greatest of every key by itself.
        return replace_staged(connection, target, staged, update_when=update_when)

    @contextmanager
    def _open(
        self, path: Path, schemas: tuple[str, ...], *, write: bool, url: str | None = None
    ) -> Iterator[sa.Connection]:
        """`url`: another database than the file, for who attaches the file by itself."""
        self._create(path, schemas)
        with self._lock(path, exclusive=write):
            if write:
                _remove_leftovers(path)
            engine = self._engine(url or f"duckdb:///{path}", read_only=not write)
            with engine.begin() as connection:
                _spill_beside(connection, path)
                yield connection

    def _engine(self, url: str, *, read_only: bool = False) -> sa.Engine:
        """Bounded in memory and threads: a worker shares its machine with builds, models and other workers.

        Kept, though it holds no connection: a new one asks the database about itself at its first connection.
        """
        if (url, read_only) not in self._engines:
            config = {
                "memory_limit": self._settings.duckdb_memory_limit,
                "threads": self._settings.duckdb_threads,
                "preserve_insertion_order": False,  # half the time and less memory in a large insert; none relies on it
            }
            arguments = {"read_only": True} if read_only else {}
            engine = sa.create_engine(url, poolclass=NullPool, connect_args={**arguments, "config": config})
            self._engines[url, read_only] = watch(engine)
        return self._engines[url, read_only]

    def _create(self, path: Path, schemas: tuple[str, ...]) -> None:
        """Make the file with its schemas, so that a reader may come before the first writer."""
        if path.exists():
            return
        with self._lock(path, exclusive=True):
            if path.exists():
                return
            fresh = path.with_name(path.name + ".new")
            fresh.unlink(missing_ok=True)
            engine = sa.create_engine(f"duckdb:///{fresh}", poolclass=NullPool)
            with engine.begin() as connection:
                for schema in schemas:
                    connection.execute(sa.text(f"create schema if not exists {schema}"))
            fresh.rename(path)  # whole or not at all, also under kill -9

    def _lock(self, path: Path, *, exclusive: bool) -> AbstractContextManager[None]:
        if path == self._settings.core_path and self._reserved_by == threading.get_ident():
            return nullcontext()  # this thread holds the lock already, and would wait for itself
        return file_lock(path, exclusive=exclusive, timeout_seconds=self._settings.lock_timeout_seconds)


def _mirror(connection: sa.Connection, path: Path, catalog: str) -> None:
    """Attach a file read-only and show its tables under their two-part names, as Snowflake has them."""
    connection.execute(sa.text(f"attach '{_quoted(path)}' as {catalog} (read_only)"))
    listing = "select table_schema, table_name from information_schema.tables where table_catalog = :catalog"
    for schema, table in connection.execute(sa.text(listing), {"catalog": catalog}).all():
        connection.execute(sa.text(f"create schema if not exists memory.{schema}"))
        connection.execute(sa.text(f"create view memory.{schema}.{table} as select * from {catalog}.{schema}.{table}"))


def _spill_beside(connection: sa.Connection, path: Path) -> None:
    """What doesn't fit into memory goes beside the file, into a folder of this connection's own, which DuckDB makes
    when it needs it and removes at the end. By itself it takes the working directory for a database in memory, which
    may be read-only, and one folder with the same file names for all who read a file at once.
    """
    folder = path.with_name(f"{path.name}.spill-{os.getpid()}-{threading.get_ident()}")
    _prepare(connection, f"set temp_directory = '{_quoted(folder)}'")


def _prepare(connection: sa.Connection, statement: str) -> None:
    """Beside the statements that are counted against a job's budget: this one is not the job's."""
    raw = connection.connection.driver_connection
    assert raw is not None
    raw.execute(statement)


def _remove_leftovers(path: Path) -> None:
    """What killed processes had spilled beside the file; the lock is ours, so nobody else spills there now."""
    for left in path.with_name(path.name + ".tmp").glob("duckdb_temp_*"):  # a build's (dbt_transform/profiles.yml)
        left.unlink(missing_ok=True)
    for folder in path.parent.glob(f"{path.name}.spill-*"):
        shutil.rmtree(folder, ignore_errors=True)


def _quoted(path: Path) -> str:
    return str(path.resolve()).replace("'", "''")
