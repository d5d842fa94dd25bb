"""A PostgreSQL that vanishes, or does not get on, is given up: with an error that the callers know, in seconds."""

import ctypes
import selectors
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from shared.operations import database as operations_database_module
from shared.operations.database import REQUEST_PATIENCE, WORKER_PATIENCE, OperationsDatabase, Patience
from shared.operations.migrate import migrate
from tests.conftest import wait_until

SO_ATTACH_FILTER = 26  # Linux, asm-generic/socket.h; Python does not name it
GIVEN_UP_SECONDS = 10


class Line:
    """A TCP proxy to PostgreSQL that can be cut as a power failure cuts: no byte, no acknowledgement, no RST; or fall
    silent as a balancer in front of a vanished server does: all is acknowledged, and nothing comes back."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._peers: dict[socket.socket, socket.socket] = {}
        self._near: list[socket.socket] = []
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._is_cut = self._is_ended = False
        self._swallowed: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._forward)
        self._thread.start()

    def cut(self) -> None:
        """The kernel drops each segment of the clients before TCP sees it: a one-line packet filter, "keep 0 bytes"."""
        code = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
        program = struct.pack("HP", 1, ctypes.addressof(code))
        self._is_cut = True
        for near in self._near:
            near.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)

    def swallow(self) -> None:
        """What is connected now hears nothing any more; new connections work."""
        self._swallowed = set(self._peers)

    def close(self) -> None:
        self._is_ended = True
        self._thread.join()
        self._selector.close()
        for each in (self._listener, *self._peers):
            each.close()

    def _forward(self) -> None:
        while not self._is_ended:
            for key, _ in self._selector.select(0.05):
                source = key.fileobj
                assert isinstance(source, socket.socket)
                if source is self._listener:
                    self._accept()
                elif data := source.recv(65536):
                    if not self._is_cut and source not in self._swallowed:
                        self._peers[source].sendall(data)
                else:
                    self._selector.unregister(source)
                    self._peers[source].shutdown(socket.SHUT_WR)

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        far = socket.create_connection(("127.0.0.1", self._target_port))
        self._peers |= {near: far, far: near}
        self._near.append(near)
        for each in (near, far):
            self._selector.register(each, selectors.EVENT_READ)


@pytest.fixture
def line(postgres_url: str) -> Iterator[Line]:
    opened = Line(sa.make_url(postgres_url).port or 0)
    yield opened
    opened.close()


@pytest.fixture
def database(line: Line, monkeypatch: pytest.MonkeyPatch) -> Iterator[OperationsDatabase]:
    """Over the line, with shorter limits than the product's, so that the tests wait less."""
    for name in ("keepalives_idle", "keepalives_interval"):
        monkeypatch.setitem(operations_database_module._KEEPALIVES, name, 1)
    patience = replace(WORKER_PATIENCE, silence=2)
    opened = OperationsDatabase(f"postgresql+psycopg://gtm@127.0.0.1:{line.port}/postgres", patience=patience)
    yield opened
    opened.dispose()


def give_up(database: OperationsDatabase, line: Line, statement: str, *, is_cut_while_waiting: bool) -> float:
    """Seconds until `statement`, on a connection whose line is cut, became an OperationalError."""
    ended: list[BaseException] = []
    sent = threading.Event()

    def wait() -> None:
        try:
            with database.read() as session:
                session.execute(sa.text("select 1"))
                if not is_cut_while_waiting:
                    line.cut()
                sent.set()
                session.execute(sa.text(statement))
        except sa.exc.OperationalError as error:
            ended.append(error)

    thread = threading.Thread(target=wait, daemon=True)  # without the limits it never comes back
    thread.start()
    assert sent.wait(10)
    if is_cut_while_waiting:
        wait_until(lambda: _is_running(database, statement), "the server works on it")
        line.cut()
    started = time.monotonic()
    thread.join(GIVEN_UP_SECONDS)
    assert ended, f"still waiting after {GIVEN_UP_SECONDS} s"
    return time.monotonic() - started


def _is_running(database: OperationsDatabase, statement: str) -> bool:
    running = "select count(*) from pg_stat_activity where state = 'active' and query = :statement"
    with database.read() as session:
        return bool(session.execute(sa.text(running), {"statement": statement}).scalar_one())


@pytest.mark.skipif(sys.platform != "linux", reason="packet filters on a socket are Linux's")
def test_a_vanished_server_is_given_up_by_who_asks_it(database: OperationsDatabase, line: Line) -> None:
    assert give_up(database, line, "select 2", is_cut_while_waiting=False) < GIVEN_UP_SECONDS


@pytest.mark.skipif(sys.platform != "linux", reason="packet filters on a socket are Linux's")
def test_a_vanished_server_is_given_up_by_who_waits_for_its_answer(database: OperationsDatabase, line: Line) -> None:
    assert give_up(database, line, "select pg_sleep(4)", is_cut_while_waiting=True) < GIVEN_UP_SECONDS


def test_a_heartbeat_on_a_line_that_fell_silent_goes_over_another_one(line: Line) -> None:
    """Whoever keeps the line acknowledges what is sent: no limit of the kernel's or the server's ends the waiting."""
    patience = replace(WORKER_PATIENCE, statement=0.1)
    worker = OperationsDatabase(f"postgresql+psycopg://gtm@127.0.0.1:{line.port}/postgres", patience=patience)
    answers: list[int] = []

    def beat() -> None:
        with worker.write() as session:
            answers.append(session.execute(sa.text("select 1")).scalar_one())

    beat()
    line.swallow()
    thread = threading.Thread(target=beat, daemon=True)  # without the limit it never comes back
    thread.start()
    thread.join(GIVEN_UP_SECONDS)
    assert answers == [1, 1]
    worker.dispose()


def test_a_statement_and_a_lock_have_an_end_but_for_migrations(postgres_url: str) -> None:
    def shown(opened: OperationsDatabase) -> list[str]:
        with opened.read() as session:
            names = ("statement_timeout", "lock_timeout")
            values = [str(session.execute(sa.text(f"show {name}")).scalar_one()) for name in names]
        opened.dispose()
        return values

    url = postgres_url + "postgres"
    assert shown(OperationsDatabase(url)) == ["10s", "5s"]
    assert shown(OperationsDatabase(url, patience=REQUEST_PATIENCE)) == ["2s", "1s"]
    assert shown(OperationsDatabase(url, has_statement_limits=False)) == ["0", "0"]
    assert shown(OperationsDatabase(f"{url}?options=-c%20statement_timeout%3D7s")) == ["7s", "5s"]


def test_migrations_run_without_the_limits(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"options": "-c default_transaction_read_only=on"}

    def limited(url: str, patience: Patience, *, has_statement_limits: bool) -> dict[str, str]:
        return limits if has_statement_limits else {}

    monkeypatch.setattr(operations_database_module, "_postgres_limits", limited)
    name = f"empty_{tmp_path.name}".lower().replace("-", "_")[:60]
    server = sa.create_engine(postgres_url + "postgres", isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(sa.text(f"create database {name}"))
        migrate(postgres_url + name)
        connection.execute(sa.text(f"drop database {name}"))
    server.dispose()
