"""Sessions on the operations database: SQLite in WAL mode on one machine, PostgreSQL where there are several."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared.settings import OperationsSettings, operations_settings

_BUSY_TIMEOUT_SECONDS = 5


class OperationsDatabase:
    """One engine; `read()` and `write()` are one transaction each."""

    def __init__(self, url: str) -> None:
        self.engine = _create_engine(url)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A snapshot; writes nothing."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Committed on a clean exit. On SQLite it takes the write lock at once: one that reads first and upgrades
        later would fail with `database is locked` instead of waiting its turn."""
        engine = self.engine.execution_options(is_writer=True)
        with Session(engine, expire_on_commit=False) as session, session.begin():
            yield session

    def now(self, session: Session) -> datetime:
        """UTC by the database server's clock, so that workers with skewed clocks agree on leases.

        SQLite has no server: there all processes share one machine's clock.
        """
        if self.engine.dialect.name == "sqlite":
            return datetime.now(UTC)
        moment: datetime = session.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
        return moment.astimezone(UTC)

    def dispose(self) -> None:
        """Close every connection."""
        self.engine.dispose()


_databases: dict[str, OperationsDatabase] = {}


def operations_database(settings: OperationsSettings | None = None) -> OperationsDatabase:
    """The process's database for these settings; one engine a URL."""
    url = (settings or operations_settings()).database_url
    if url not in _databases:
        _databases[url] = OperationsDatabase(url)
    return _databases[url]


# A forked Celery child must not share sockets or SQLite handles with its parent.
os.register_at_fork(after_in_child=_databases.clear)


def _create_engine(url: str) -> sa.Engine:
    if not url.startswith("sqlite"):
        # 5 s: a request must be answered within 3 s of patience, a worker can wait for the next heartbeat.
        return sa.create_engine(url, pool_pre_ping=True, pool_timeout=5, connect_args={"connect_timeout": 3})
    path = sa.make_url(url).database
    if path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, connect_args={"timeout": _BUSY_TIMEOUT_SECONDS, "check_same_thread": False})
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver's own BEGIN would be deferred; see _begin_sqlite
    cursor = connection.cursor()
    cursor.execute("pragma journal_mode = wal")
    cursor.execute("pragma synchronous = full")  # a 202 promises the row survives a power cut
    cursor.execute("pragma foreign_keys = on")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    is_writer = connection.get_execution_options().get("is_writer", False)
    connection.exec_driver_sql("begin immediate" if is_writer else "begin")
