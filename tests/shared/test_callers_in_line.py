"""Many callers of an operations database that gives no answer: a few wait, the others are told so at once."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from shared.operations import line
from shared.operations.database import REQUEST_PATIENCE, OperationsDatabase

REFUSED = "others try again"
SILENT = sa.exc.OperationalError("select 1", {}, Exception("no answer"))


class CancelledByServer(Exception):
    """As psycopg's."""

    sqlstate = "57014"


@pytest.fixture
def database(operations: OperationsDatabase) -> Iterator[OperationsDatabase]:
    """An API's."""
    url = operations.engine.url.render_as_string(hide_password=False)
    opened = OperationsDatabase(url, patience=REQUEST_PATIENCE)
    yield opened
    opened.dispose()


class Inside:
    """A transaction that another thread is in, until it is let go."""

    def __init__(self, database: OperationsDatabase) -> None:
        self._database = database
        self._is_in, self._may_go = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._wait)

    def __enter__(self) -> None:
        self._thread.start()
        assert self._is_in.wait(10)

    def __exit__(self, *_: object) -> None:
        self._may_go.set()
        self._thread.join()

    def _wait(self) -> None:
        with self._database.write():
            self._is_in.set()
            assert self._may_go.wait(10)


def fail(database: OperationsDatabase, error: sa.exc.SQLAlchemyError) -> None:
    with pytest.raises(type(error)), database.write():
        raise error


def test_while_one_tries_the_others_are_told(database: OperationsDatabase) -> None:
    fail(database, SILENT)
    with Inside(database):
        with pytest.raises(sa.exc.TimeoutError, match=REFUSED), database.write():
            raise AssertionError("it was let in")
        if database.engine.dialect.name == "sqlite":
            with database.read() as session:
                session.execute(sa.text("select 1"))
    with database.write(), Inside(database) if database.engine.dialect.name != "sqlite" else database.read():
        pass  # one answer opened it again


def test_who_waits_for_a_try_goes_in_after_an_answer(
    database: OperationsDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that is back refuses nobody for having been away."""
    monkeypatch.setattr(line, "TRIED_WITHIN_SECONDS", 10)
    fail(database, SILENT)
    has_come = threading.Event()

    def call() -> int:
        has_come.set()
        with database.write() as session:
            return int(session.execute(sa.text("select 1")).scalar_one())

    with ThreadPoolExecutor(3) as threads:
        with Inside(database):
            calls = [threads.submit(call) for _ in range(3)]
            assert has_come.wait(10)
        assert [one.result() for one in calls] == [1, 1, 1]


def test_what_the_server_itself_refuses_is_an_answer(database: OperationsDatabase) -> None:
    fail(database, sa.exc.OperationalError("select 1", {}, CancelledByServer()))
    if database.engine.dialect.name == "sqlite":
        pytest.skip("one writer at a time")
    with Inside(database), database.read() as session:
        assert session.execute(sa.text("select 1")).scalar_one() == 1


def test_a_worker_waits_as_long_as_it_may(operations: OperationsDatabase) -> None:
    """Refused at once its job would lose an attempt."""
    fail(operations, SILENT)
    with Inside(operations), operations.read() as session:
        assert session.execute(sa.text("select 1")).scalar_one() == 1
