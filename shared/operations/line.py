"""Who calls while the operations database gives no answer is told so soon, but for a few who try."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import sqlalchemy as sa

from shared.operations.outages import OUTAGES

TRIED_WITHIN_SECONDS: Final = 0.05
"""What one try takes where the database is back: so long the others wait for how it goes."""


class Line:
    """The transactions of a process that has callers. Without it each wave of threads would wait as long as the one
    before, and the last of a hundred callers many times that long.

    One answer opens it again: while nobody is inside, whoever comes may try.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._has_failed = False

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Raises sqlalchemy's TimeoutError where the last one inside got no answer and another one waits for one."""
        with self._changed:
            if self._has_failed and self._inside:
                self._changed.wait(TRIED_WITHIN_SECONDS)
                if self._has_failed:
                    raise sa.exc.TimeoutError("the operations database gave no answer a moment ago; others try again")
            self._inside += 1
        is_silent: bool | None = None  # a caller's own mistake tells neither
        try:
            yield
            is_silent = False
        except OUTAGES as error:
            is_silent = _is_silence(error)
            raise
        finally:
            with self._changed:
                self._inside -= 1
                if is_silent is not None:
                    self._has_failed = is_silent
                self._changed.notify_all()


def _is_silence(error: sa.exc.SQLAlchemyError) -> bool:
    """No SQLSTATE: nobody answered. PostgreSQL's own refusals, such as a statement's limit, have one."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) is None
