"""Who may write: one transaction at a time, from its first change to its end; the others wait, as on Snowflake.

Snowflake locks by table. One lock for all is stricter: who would wait there waits here, too, and a deadlock of two
tables is not found. DuckDB alone would answer the second writer with a conflict, which Snowflake never does.
"""

import threading
import time
from typing import Final, Protocol

from tests.fakes.snowflake_failures import Failure

_LOCK_TIMEOUT: Final = 43_200.0
_POLL_SECONDS: Final = 0.05


class Writer(Protocol):
    """A session that holds the lock or wants it."""

    idle_since: float | None
    """Monotonic; None while a statement runs."""

    def abort(self) -> None:
        """Roll back what it has open and let the lock go."""
        ...


class WriteLock:
    """Reentrant by session. Whoever is idle in a transaction for `idle_seconds` while another waits is rolled back."""

    def __init__(self, idle_seconds: float) -> None:
        self._idle_seconds = idle_seconds
        self._changed = threading.Condition()
        self._holder: Writer | None = None

    def acquire(self, writer: Writer) -> None:
        """Raises Failure 000625 after LOCK_TIMEOUT."""
        deadline = time.monotonic() + _LOCK_TIMEOUT
        while True:
            with self._changed:
                if self._holder is None or self._holder is writer:
                    self._holder = writer
                    return
                self._changed.wait(_POLL_SECONDS)
                holder = self._holder
            if holder is not None and self._is_stale(holder):
                holder.abort()
            if time.monotonic() > deadline:
                raise Failure("000625", "57014", "Statement has waited for a lock longer than LOCK_TIMEOUT.")

    def release(self, writer: Writer) -> None:
        """Nothing where another one holds it."""
        with self._changed:
            if self._holder is writer:
                self._holder = None
                self._changed.notify_all()

    def _is_stale(self, holder: Writer) -> bool:
        since = holder.idle_since
        return since is not None and time.monotonic() - since >= self._idle_seconds
