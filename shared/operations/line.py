"""Who calls while the operations database gives no answer is told so at once, but for a few who try."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from shared.operations.outages import OUTAGES


class Line:
    """The transactions of a process that has callers. Without it each wave of threads would wait as long as the one
    before, and the last of a hundred callers many times that long.

    One answer opens it again: while nobody is inside, whoever comes may try.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._has_failed = False

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Raises sqlalchemy's TimeoutError where the last one inside got no answer and another one waits for one."""
        with self._lock:
            if self._has_failed and self._inside:
                raise sa.exc.TimeoutError("the operations database gave no answer a moment ago, and others try again")
            self._inside += 1
        try:
            yield
        except OUTAGES as error:
            self._has_failed = self._has_failed or _is_silence(error)
            raise
        else:
            self._has_failed = False
        finally:
            with self._lock:
                self._inside -= 1


def _is_silence(error: sa.exc.SQLAlchemyError) -> bool:
    """No SQLSTATE: nobody answered. PostgreSQL's own refusals, such as a statement's limit, have one."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) is None
