"""Reading ahead: a thread reads the source into spools while the segment before is landed."""

import contextvars
import hashlib
import json
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final

from services.ingest.adapters.landing import WHOLE_LOAD
from services.ingest.adapters.spool import Spool, open_spool
from services.ingest.domain.schema_drift import Fields, SchemaChange, SchemaChanged, SchemaWatch
from services.ingest.domain.sources import Checkpoint, ScanEnd, Source, SourceBatch, SourceEvent, SyncStopped
from services.ingest.settings import IngestSettings
from shared.errors import GtmError

_FIRST_REJECTS: Final = 5  # in the result: enough to see what is wrong with a file
_LOOK_SECONDS: Final = 0.2
_FAREWELL_SECONDS: Final = 10  # a call to a CRM may still be under way; the thread ends with it
_WAITING_ROWS: Final = 50_000
_SEGMENTS_AT_ONCE: Final = 2  # one that lands, one that is being read: bounds disk and what a kill costs


class StopSign:
    """How the flow's thread ends the reading one."""

    def __init__(self) -> None:
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Whoever pauses raises SyncStopped from now on."""
        self._stopped.set()

    def pause(self, seconds: float) -> None:
        """See `SyncRun.pause`."""
        if self._stopped.wait(seconds) if seconds > 0 else self._stopped.is_set():
            raise SyncStopped


@dataclass
class Segment:
    """What was read between two landings, with the place that is reached once it has landed."""

    name: str
    """The same for a segment that begins where this one does: another attempt reads it again."""
    spool: Spool
    checkpoints: dict[str, Checkpoint] = field(default_factory=dict)
    changes: list[SchemaChange] = field(default_factory=list)
    fields: dict[str, Fields] = field(default_factory=dict)
    is_last: bool = False
    is_whole: bool = True
    """The spool ends at a checkpoint, or at the source's end."""
    _waiting: list[SourceBatch | ScanEnd] = field(default_factory=list)
    _resources: ExitStack = field(default_factory=ExitStack)

    @property
    def is_empty(self) -> bool:
        """Nothing that RAW could take."""
        return not self.spool.tables and not self.spool.ended_scans

    def add(self, event: SourceBatch | ScanEnd) -> None:
        """It waits for the next checkpoint, where there is one before too many rows wait."""
        self._waiting.append(event)
        if sum(one.rows.num_rows for one in self._waiting if isinstance(one, SourceBatch)) >= _WAITING_ROWS:
            self.settle()
            self.is_whole = False

    def settle(self) -> None:
        """All that was added belongs to the segment, wherever the source breaks off."""
        for one in self._waiting:
            if isinstance(one, SourceBatch):
                self.spool.add(one)
            else:
                self.spool.end_scan(one.table)
        self._waiting.clear()
        self.is_whole = True

    def close(self) -> None:
        """Give the disk space back."""
        self._resources.close()


class SegmentReader:
    """The source's reading, as segments in their order. Leaving the `with` ends it, wherever it is.

    Without a checkpoint all is one segment. With them a segment ends at the first one after GTM_INGEST_SEGMENT_ROWS
    rows or GTM_INGEST_SEGMENT_SECONDS.
    """

    def __init__(
        self,
        source: Source,
        settings: IngestSettings,
        watch: SchemaWatch,
        cursors: Mapping[str, dict[str, Any]],
        sign: StopSign,
    ) -> None:
        self._source = source
        self._settings = settings
        self._watch = watch
        self._cursors = dict(cursors)
        self._sign = sign
        self._room = threading.Semaphore(_SEGMENTS_AT_ONCE)
        self._segments: queue.Queue[Segment | BaseException] = queue.Queue()
        context = contextvars.copy_context()  # log lines of the thread carry the job's id, too
        self._thread = threading.Thread(target=context.run, args=[self._run], name="reading", daemon=True)
        self.first_rejects: list[dict[str, Any]] = []
        """Without their text. The same files give the same ones, whatever the batch size."""
        self.rows: dict[str, int] = {}
        """Read so far, by table, rejects included."""
        self.table = ""
        """The one that is being read."""

    def __enter__(self) -> "SegmentReader":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sign.stop()
        self._thread.join(_FAREWELL_SECONDS)
        while not self._segments.empty():
            left = self._segments.get_nowait()
            if isinstance(left, Segment):
                left.close()

    def segments(self, on_wait: Callable[[], None]) -> Iterator[Segment]:
        """Each is closed when the next one is asked for. `on_wait` is called while there is none, and may raise.

        Raises:
            What the source raises, once the segments before it have been given: also the one that it breaks off, where
            that has a checkpoint and the error is one that the source foresaw.
        """
        is_last = False
        while not is_last:
            found = self._next(on_wait)
            if isinstance(found, BaseException):
                raise found
            is_last = found.is_last
            try:
                yield found
            finally:
                found.close()
                self._room.release()

    def _next(self, on_wait: Callable[[], None]) -> Segment | BaseException:
        while True:
            on_wait()
            try:
                return self._segments.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                continue

    def _run(self) -> None:
        """The thread."""
        segment: Segment | None = None
        try:
            segment = self._open()
            began = time.monotonic()
            for event in self._events():
                self._take(event, segment)
                if isinstance(event, Checkpoint) and self._is_full(segment, began):
                    self._hand_over(segment)
                    segment = None  # who fails from here on has no segment of its own
                    segment, began = self._open(), time.monotonic()
            segment.settle()
            segment.is_last = True
            self._hand_over(segment)
        except BaseException as error:  # whatever it is, the flow's thread raises it
            if segment is not None and segment.checkpoints and segment.is_whole and _is_foreseen(error):
                self._hand_over(segment)  # up to its last checkpoint; what came after that waits, and comes again
            elif segment is not None:
                segment.close()
            self._segments.put(error)

    def _events(self) -> Iterator[SourceEvent]:
        """The source's, until the sync is to end; then its open connections and files are closed here and now."""
        events = self._source.read(self._settings.batch_rows)
        try:
            for event in events:
                self._sign.pause(0)
                yield event
        finally:
            if isinstance(events, Generator):
                events.close()

    def _open(self) -> Segment:
        while not self._room.acquire(timeout=_LOOK_SECONDS):
            self._sign.pause(0)
        resources = ExitStack()
        spool = resources.enter_context(open_spool(self._settings.spool_dir))
        return Segment(_name_of(self._cursors), spool, _resources=resources)

    def _take(self, event: SourceEvent, segment: Segment) -> None:
        if isinstance(event, SourceBatch):
            batch = self._watch.look_at(event)
            segment.add(batch)
            self.rows[batch.table] = self.rows.get(batch.table, 0) + batch.rows.num_rows + len(batch.rejects)
            self.table = batch.table  # last: the flow's thread looks up its rows
            for one in batch.rejects[: _FIRST_REJECTS - len(self.first_rejects)]:
                reject = {"table": batch.table, "file": one.file, "line": one.line, "reason": one.reason}
                self.first_rejects.append(reject)
        elif isinstance(event, ScanEnd):
            segment.add(event)
        else:
            segment.settle()
            segment.checkpoints[event.stream] = event
            self._cursors[event.stream] = event.cursor

    def _is_full(self, segment: Segment, began: float) -> bool:
        is_old = time.monotonic() - began >= self._settings.segment_seconds
        return is_old or segment.spool.rows >= self._settings.segment_rows

    def _hand_over(self, segment: Segment) -> None:
        segment.changes, segment.fields = self._watch.take()
        self._segments.put(segment)


def _is_foreseen(error: BaseException) -> bool:
    return isinstance(error, GtmError) and not isinstance(error, SchemaChanged)  # that one lands nothing of its segment


def _name_of(cursors: Mapping[str, Any]) -> str:
    if not cursors:
        return WHOLE_LOAD
    return hashlib.md5(json.dumps(cursors, sort_keys=True).encode(), usedforsecurity=False).hexdigest()
