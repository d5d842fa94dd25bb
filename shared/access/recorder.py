"""What calls leave behind: when a key was last used, and which calls were refused.

A thread of its own writes both, so that no call waits for it and no call fails with it. Refusals are coalesced, since
anybody can cause any number of them: the first of an address and reason is written at once, those that follow within a
minute become one row with their number. So a flood from anywhere costs some 40 rows a minute at most. A process that is
killed loses the numbers of its last minute, and nothing else.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self

from shared.access.audit import AuditEvent, append_entry
from shared.access.callers import Caller
from shared.access.key_store import KeyStore
from shared.errors import TransientError
from shared.logging import get_logger
from shared.operations.database import OperationsDatabase
from shared.operations.outages import OUTAGES

log = get_logger(__name__)

WINDOW_SECONDS: Final = 60.0
MOST_WINDOWS: Final = 20
"""Of addresses, keys and reasons at once; what comes beyond them shares windows without address and key."""

_LOOK_SECONDS: Final = 5.0
_AWAY: Final = (*OUTAGES, TransientError)


@dataclass
class _Window:
    """Refusals of one kind since `opened`; `unwritten` is the row that is owed for them, `count` its number."""

    opened: float
    unwritten: AuditEvent
    count: int = 1
    is_first: bool = True
    failures: int = 0


_Kind = tuple[str | None, str, int | None, str, str | None, str]


class AccessRecorder:
    """Entered while an API serves. `note_use()` and `note_refusal()` are cheap and may be called from any thread."""

    def __init__(self, database: OperationsDatabase, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._store = KeyStore(database)
        self._clock = clock
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._is_stopping = False
        self._uses: dict[str, datetime] = {}
        self._noted: dict[str, float] = {}
        self._windows: dict[_Kind, _Window] = {}
        self._thread = threading.Thread(target=self._run, name="access-recorder", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_stopping = True
        self._wake.set()
        self._thread.join()

    def note_use(self, key_id: str) -> None:
        """Stored once in WINDOW_SECONDS, however often the key is used."""
        now = self._clock()
        if now - self._noted.get(key_id, -WINDOW_SECONDS) < WINDOW_SECONDS:
            return
        with self._lock:
            self._noted[key_id] = now
            self._uses[key_id] = datetime.now(UTC)
        self._wake.set()

    def note_refusal(self, event: AuditEvent) -> None:
        """Coalesced by address, action, status, actor, key and the reason (`detail["code"]`)."""
        with self._lock:
            kind = _kind_of(event)
            if kind not in self._windows and len(self._windows) >= MOST_WINDOWS:
                caller = replace(event.caller, address=None, key_id=None)
                event = replace(event, caller=caller, target=None, request_id=None)
                kind = _kind_of(event)
            window = self._windows.get(kind)
            if window is not None:
                window.count += 1
                return
            self._windows[kind] = _Window(self._clock(), event)
        self._wake.set()

    def write_due(self, *, is_last: bool = False) -> None:
        """What is owed by now; with `is_last` also the numbers of windows that are still open.

        What can't be written stays owed, behind the others, and is said in the log.
        """
        with self._lock:
            uses, self._uses = self._uses, {}
            due = [window for window in self._windows.values() if window.count and self._is_due(window, is_last)]
        try:
            if uses:
                self._write_uses(uses)
            for window in sorted(due, key=lambda one: one.failures):
                self._write_window(window)
        except _AWAY as error:
            owed = sum(window.count for window in due)
            log.warning("access_not_recorded", uses=len(uses), refusals=owed, reason=type(error).__name__)
            return
        self._close_windows()

    def _write_uses(self, uses: dict[str, datetime]) -> None:
        """Raises what `_AWAY` names."""
        try:
            self._store.note_uses(uses)
        except Exception as error:
            with self._lock:
                self._uses = {**uses, **self._uses}
            if isinstance(error, _AWAY):
                raise
            log.error("key_uses_not_recorded", uses=len(uses), exc_info=error)

    def _write_window(self, window: _Window) -> None:
        """Raises what `_AWAY` names. What no database takes as it is becomes a row without what a caller sent: a
        refusal must not be able to keep others, nor itself, out of the log."""
        with self._lock:
            event, count = _to_event(window), window.count
        for one in (event, _without_what_was_sent(event)):
            try:
                with self._database.write() as session:
                    append_entry(self._database, session, one)
            except _AWAY:
                window.failures += 1
                raise
            except Exception as error:
                log.error("refusal_not_written_as_it_was", action=event.action, reason=type(error).__name__)
                continue
            with self._lock:
                window.count -= count
                window.is_first = False
            return
        window.failures += 1

    def _is_due(self, window: _Window, is_last: bool) -> bool:
        return window.is_first or is_last or self._clock() - window.opened >= WINDOW_SECONDS

    def _close_windows(self) -> None:
        """Those that are over, with nothing owed."""
        with self._lock:
            over = [kind for kind, window in self._windows.items() if self._clock() - window.opened >= WINDOW_SECONDS]
            for kind in over:
                if not self._windows[kind].count:
                    del self._windows[kind]

    def _run(self) -> None:
        while True:
            has_work = bool(self._windows or self._uses)
            self._wake.wait(_LOOK_SECONDS if has_work else None)
            self._wake.clear()
            is_last = self._is_stopping
            try:
                self.write_due(is_last=is_last)
            except Exception as error:  # the thread is the only one that writes: it must not end before its API
                log.error("access_recorder_failed", exc_info=error)
            if is_last:
                return


def _kind_of(event: AuditEvent) -> _Kind:
    caller = event.caller
    return (caller.address, event.action, event.status, caller.name, caller.key_id, str(event.detail.get("code")))


def _without_what_was_sent(event: AuditEvent) -> AuditEvent:
    detail = {"code": event.detail.get("code"), "left_out": "actor, address, target and request id: not writable"}
    return replace(event, caller=Caller("anonymous"), target=None, request_id=None, detail=detail)


def _to_event(window: _Window) -> AuditEvent:
    """The first refusal of a window as it was; later ones, which may have been of other routes, by their number."""
    if window.is_first and window.count == 1:
        return window.unwritten
    return replace(window.unwritten, target=None, request_id=None, count=window.count)
