"""Several streams read at once: one request after the other leaves most of a CRM's rate unused, since each answer takes
a few tenths of a second.
"""

import contextvars
import queue
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Final, TypeAlias

from services.ingest.domain.sources import SourceEvent, SyncStopped

Reading: TypeAlias = Callable[[], Iterator[SourceEvent]]
_WAITING_EVENTS: Final = 16  # bounds memory where landing is slower than the CRM
_LOOK_SECONDS: Final = 0.1
_FAREWELL_SECONDS: Final = 10.0


class SideBySide:
    """Reads streams in threads; each stream's events stay in their order.

    The readings must ask `pause` often: it ends them when one of them failed or the sync is to end.
    """

    def __init__(self, pause: Callable[[float], None], at_once: int) -> None:
        self._outer_pause = pause
        self._at_once = at_once
        self._stopped = threading.Event()
        self._events: queue.Queue[SourceEvent | BaseException | None] = queue.Queue(_WAITING_EVENTS)

    def pause(self, seconds: float) -> None:
        """See `SyncRun.pause`."""
        if self._stopped.is_set():
            raise SyncStopped
        self._outer_pause(seconds)

    def read(self, readings: list[Reading]) -> Iterator[SourceEvent]:
        """Events as they come, until all readings have ended. Raises what the first one that fails raises."""
        left = iter(list(readings))
        lock = threading.Lock()

        def work() -> None:
            try:
                while True:
                    with lock:
                        reading = next(left, None)
                    if reading is None:
                        break
                    for event in _closing(reading()):
                        self._put(event)
                self._put(None)
            except BaseException as error:  # whatever it is, the consumer raises it
                self._put_anyway(error)

        threads = [
            threading.Thread(target=contextvars.copy_context().run, args=[work], name="crm-stream", daemon=True)
            for _ in range(min(self._at_once, len(readings)))
        ]
        for thread in threads:
            thread.start()
        try:
            yield from self._take(len(threads))
        finally:
            self._stopped.set()
            for thread in threads:
                thread.join(_FAREWELL_SECONDS)

    def _take(self, running: int) -> Iterator[SourceEvent]:
        while running:
            try:
                event = self._events.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                self._outer_pause(0)
                continue
            if event is None:
                running -= 1
            elif isinstance(event, BaseException):
                raise event
            else:
                yield event

    def _put(self, event: SourceEvent | None) -> None:
        while True:
            self.pause(0)
            try:
                return self._events.put(event, timeout=_LOOK_SECONDS)
            except queue.Full:
                continue

    def _put_anyway(self, error: BaseException) -> None:
        while not self._stopped.is_set():
            try:
                return self._events.put(error, timeout=_LOOK_SECONDS)
            except queue.Full:
                continue


def _closing(events: Iterator[SourceEvent]) -> Iterator[SourceEvent]:
    """Whatever ends the loop, the generator's own resources are given back here and now."""
    try:
        yield from events
    finally:
        if isinstance(events, Generator):
            events.close()
