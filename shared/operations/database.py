"""Sessions on the operations database: SQLite in WAL mode on one machine, PostgreSQL where there are several."""

import math
import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared.operations.line import Line
from shared.settings import OperationsSettings, operations_settings


@dataclass(frozen=True)
class Patience:
    """How long a process waits for the operations database, in seconds, before it says that there is none.

    A PostgreSQL whose machine or network vanishes sends no RST: without limits, whoever waits for it waits for hours
    (Linux: 2 h until the first keepalive, 15 min of retransmission). `silence` is what was sent and not acknowledged.
    `statement` is the server's part, for one that is there but does not get on; `whole` is ours, for a transaction and
    the connection that it needs, on one that does not even say so. `idle`: the server rolls back, and lets go of every
    lock, where we have stood still in the middle of a transaction (frozen, cut off) for so long.
    """

    turn: float  # SQLite: for this process's other writers
    lock: float  # for other processes' writers
    pool: float
    connect: int  # libpq takes whole seconds, at least 2
    silence: float
    statement: float
    idle: float
    whole: float = math.inf


# A worker can wait for its next heartbeat: what waits longer than this is better tried again then.
WORKER_PATIENCE: Final = Patience(turn=5, lock=5, pool=5, connect=3, silence=10, statement=10, idle=15)
# A caller is answered within 3 s, whatever is broken, and told to come again. `whole` holds where nothing else does.
REQUEST_PATIENCE: Final = Patience(turn=1, lock=1, pool=0.5, connect=2, silence=1, statement=2, idle=5, whole=2.5)

_KEEPALIVES: Final = {  # libpq's names and units: a silent peer is given up after 5 + 3 * 2 s, within a lease
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
# The same on the server's side, in its names: a session whose client has vanished ends, with all that it holds.
_SERVER_KEEPALIVES: Final = "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3"


class OperationsDatabase:
    """One engine; `read()` and `write()` are one transaction each.

    `has_statement_limits=False` is for migrations: an index over many jobs may take longer than any request.
    """

    def __init__(self, url: str, *, has_statement_limits: bool = True, patience: Patience = WORKER_PATIENCE) -> None:
        self.engine = _create_engine(url, patience, has_statement_limits=has_statement_limits)
        self._patience = patience
        self._turn = threading.Lock() if self.engine.dialect.name == "sqlite" else None
        self._line = Line() if patience.whole < math.inf else None  # a worker is alone, and waits for its heartbeat

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A snapshot; writes nothing. On SQLite no writer stands in its way."""
        with self._entered() if self._turn is None else nullcontext(), self._ended_in_time():
            with Session(self.engine, expire_on_commit=False) as session, session.begin():
                yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Committed on a clean exit. On SQLite it takes the write lock at once: one that reads first and upgrades
        later would fail with `database is locked` instead of waiting its turn.

        SQLite has no queue for writers: each looks again now and then, and of ten threads one may never be lucky. So
        the threads of a process stand in line here, and only one of them contends with other processes.
        """
        engine = self.engine.execution_options(is_writer=True)
        with self._entered(), self._in_turn(), self._ended_in_time():
            with Session(engine, expire_on_commit=False) as session, session.begin():
                yield session

    def _entered(self) -> AbstractContextManager[None]:
        return nullcontext() if self._line is None else self._line.entered()

    def _ended_in_time(self) -> AbstractContextManager[None]:
        if self._turn is not None or self._patience.whole == math.inf:
            return nullcontext()
        from shared.operations.patient_connection import ended_after  # psycopg, which SQLite alone does without

        return ended_after(self._patience.whole)

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        if self._turn is None:
            yield
            return
        if not self._turn.acquire(timeout=self._patience.turn):
            raise sa.exc.TimeoutError(f"waited {self._patience.turn} s for this process's other writers")
        try:
            yield
        finally:
            self._turn.release()

    def now(self, session: Session) -> datetime:
        """UTC by the database server's clock, so that workers with skewed clocks agree on leases.

        SQLite has no server: there all processes share one machine's clock.
        """
        if self.engine.dialect.name == "sqlite":
            return datetime.now(UTC)
        moment: datetime = session.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
        return moment.astimezone(UTC)

    def lock_name(self, session: Session, name: str) -> None:
        """Until the transaction's end, nobody else gets past here with this name. For rules over several rows.

        On SQLite nothing is to be done: it has one writer at a time.
        """
        if self.engine.dialect.name != "sqlite":
            session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(name))))

    def dispose(self) -> None:
        """Close every connection."""
        self.engine.dispose()


_databases: dict[tuple[str, Patience], OperationsDatabase] = {}


def operations_database(
    settings: OperationsSettings | None = None, *, patience: Patience = WORKER_PATIENCE
) -> OperationsDatabase:
    """The process's database for these settings; one engine a URL and patience."""
    named = (settings or operations_settings()).database_url, patience
    if named not in _databases:
        _databases[named] = OperationsDatabase(named[0], patience=patience)
    return _databases[named]


# A forked Celery child must not share sockets or SQLite handles with its parent.
os.register_at_fork(after_in_child=_databases.clear)


def _create_engine(url: str, patience: Patience, *, has_statement_limits: bool) -> sa.Engine:
    if not url.startswith("sqlite"):
        limits = _postgres_limits(url, patience, has_statement_limits=has_statement_limits)
        engine = sa.create_engine(url, pool_pre_ping=True, pool_timeout=patience.pool, connect_args=limits)
        if has_statement_limits and engine.dialect.driver == "psycopg":
            from shared.operations.patient_connection import connect_patiently

            # An operator's own statement_timeout may be longer than ours.
            answer = math.inf if "statement_timeout" in url else patience.statement + 2
            connect_patiently(engine, answer=answer, connect=patience.connect)
        return engine
    path = sa.make_url(url).database
    if path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, connect_args={"timeout": patience.lock, "check_same_thread": False})
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _postgres_limits(url: str, patience: Patience, *, has_statement_limits: bool) -> dict[str, Any]:
    """libpq parameters. What an operator wrote into the URL counts, and `connect_args` would override it."""
    named = sa.make_url(url).query
    ours = {**_KEEPALIVES, "connect_timeout": patience.connect, "tcp_user_timeout": int(patience.silence * 1000)}
    limits: dict[str, Any] = {name: value for name, value in ours.items() if name not in named}
    if has_statement_limits:
        options = named.get("options", "")
        theirs = options if isinstance(options, str) else " ".join(options)
        times = {
            "statement_timeout": patience.statement,
            "lock_timeout": patience.lock,
            "idle_in_transaction_session_timeout": patience.idle,
        }
        timed = " ".join(f"-c {name}={seconds * 1000:.0f}" for name, seconds in times.items())
        # Of two `-c` with one name the later counts.
        limits["options"] = f"{timed} {_SERVER_KEEPALIVES} {theirs}".strip()
    return limits


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
