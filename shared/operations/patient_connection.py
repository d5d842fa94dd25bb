"""Connections to PostgreSQL on which nobody waits for an answer without an end.

`statement_timeout` is the server's: a server that is frozen, or whose disk hangs, keeps none, while its machine goes on
to acknowledge whatever is sent. So the end is kept on this side as well. A connection that was given up is closed.
"""

import math
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

import psycopg
import sqlalchemy as sa

_deadline: Final[ContextVar[float]] = ContextVar("deadline", default=math.inf)


@contextmanager
def ended_after(seconds: float) -> Iterator[None]:
    """What this thread asks PostgreSQL within is given up after `seconds` in all, connecting included."""
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def connect_patiently(engine: sa.Engine, *, answer: float, connect: float) -> None:
    """Have `engine` make such connections: `answer` seconds for each statement, where nothing ends it sooner."""

    def make(_dialect: object, _record: object, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if _deadline.get() - time.monotonic() < connect:
            raise psycopg.OperationalError("no time is left for another connection")
        connection = _PatientConnection.connect(*arguments, **named)
        connection.answer = answer
        return connection

    sa.event.listen(engine, "do_connect", make)


class _PatientConnection(psycopg.Connection[Any]):
    """Raises OperationalError for an answer that is not there in time."""

    answer: float = math.inf

    def wait(self, gen: Generator[Any, Any, Any], *arguments: Any, **named: Any) -> Any:
        """All of psycopg's waiting for a connection that is made goes through here."""
        deadline = min(time.monotonic() + self.answer, _deadline.get())
        try:
            return super().wait(self._until(deadline, gen), *arguments, **named)
        except psycopg.errors.IdleInTransactionSessionTimeout as error:
            # For psycopg an InternalError; for whoever asks the connection was lost, and with it the transaction.
            raise psycopg.OperationalError(str(error)) from error

    def _until(self, deadline: float, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """As `gen`, which is resumed each time that something came, and ten times a second where nothing does."""
        try:
            wanted = next(gen)
            while True:
                got = yield wanted
                wanted = gen.send(got)
                if time.monotonic() >= deadline:
                    self.close()
                    raise psycopg.OperationalError("PostgreSQL did not answer in time: the connection was given up")
        except StopIteration as ended:
            return ended.value
