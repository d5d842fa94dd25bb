"""What every source is to the flow. A new source is one adapter and one line in `adapters/sources.py`."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, TypeAlias

import pyarrow as pa


@dataclass(frozen=True)
class Reject:
    """A record that can't be made a row. `line` is where it begins in the file, from 1; 0 where that says nothing."""

    file: str
    line: int
    reason: str
    content: str


@dataclass(frozen=True)
class Replacement:
    """The batch is all that the source has of the rows whose RAW `column` is one of `values`: others are gone."""

    column: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class KnownRows:
    """Rows that an earlier sync landed, whose file is as it was: not read again. RAW has them: they are unchanged."""

    rows: int = 0
    rejected: int = 0


@dataclass(frozen=True)
class SourceBatch:
    """Rows for one RAW table, in the order in which they arrived.

    `rows` has the columns of `domain/batches.py:batch_schema`: source text unchanged, never cast or trimmed.
    """

    table: str
    rows: pa.Table
    rejects: tuple[Reject, ...] = field(default=())
    fields: Mapping[str, str | None] = field(default_factory=dict)
    """All of the source's own fields of this table by name -> type, None where it describes none. Empty: not known."""
    is_scan: bool = False
    """Part of a whole reading of the table: its keys count until the table's `ScanEnd`."""
    replaces: Replacement | None = None
    held_back: tuple[str, ...] = ()
    """Keys of records that came and aren't among the rows, such as those of rejects: they are not gone."""
    known: KnownRows = KnownRows()
    """Counted with the batch, as seen and unchanged (or rejected): a source that skips them has not shrunk."""


@dataclass(frozen=True)
class Checkpoint:
    """All that was yielded before is whole. Once that has landed, `cursor` is where the next attempt goes on.

    `is_final`: the stream is read to its end. The cursor is JSON. A reading with a window or of single records must not
    move the cursor of the whole stream: it has none, or a stream name of its own. A cursor in the middle of a scan
    should hold `SyncRun.job_id`: another job that goes on from there can't know what the scan's first half saw.
    """

    stream: str
    cursor: dict[str, Any]
    is_final: bool = False


@dataclass(frozen=True)
class ScanEnd:
    """The table was read whole since the sync began: what RAW has alive and didn't come is gone."""

    table: str


SourceEvent: TypeAlias = SourceBatch | Checkpoint | ScanEnd


class SyncStopped(Exception):
    """The sync is to end (cancelled, lost, or failed elsewhere): raised by `SyncRun.pause`. Let it pass."""


def _no_pause(_seconds: float) -> None:
    return None


def _no_note(_text: str) -> None:
    return None


@dataclass(frozen=True)
class SyncRun:
    """What a source is told of the sync that it reads for."""

    job_id: str
    mode: Literal["incremental", "full", "records"]
    started_at: datetime
    """UTC, by this machine's clock: when this attempt began."""
    state: dict[str, Any] | None = None
    """What the source last stored in `Source.state`."""
    cursors: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """Stream -> where to go on. In modes full and records only what an earlier attempt of this job has reached."""
    pause: Callable[[float], None] = _no_pause
    """Wait so many seconds. Raises SyncStopped at once when the sync is to end: `pause(0)` between calls."""
    on_schema_change: Literal["evolve", "freeze", "quarantine"] = "evolve"
    """What the flow does with rows that fill new fields, for a source that must know what will not land."""
    fields: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)
    """RAW table -> the source's fields and their types when it was last read."""
    note: Callable[[str], None] = _no_note
    """A sentence for the job's result: what a person should know and nothing that failed. The same again is dropped."""


class Source(Protocol):
    """One reading of one source, with its options already checked.

    `mock` reads everything each time, so `mode` makes no difference to it: the merge finds what changed.
    """

    name: str
    state: dict[str, Any] | None
    """What the next sync must know; stored before landing, so that a retry reads the same. None: nothing."""
    is_complete: bool
    """This reading gives all that the source has, so that fewer rows than last time mean that some are gone."""
    missing_tables: tuple[str, ...]
    """Tables that it could give and of which it has nothing to read, such as a mapped table without a file. Those that
    came with the same load last time have shrunk to nothing."""
    unmapped_files: tuple[str, ...]
    """Files beside the ones read that nothing takes: reported, so that they are not lost silently."""

    def read(self, batch_rows: int) -> Iterator[SourceEvent]:
        """Batches of at most `batch_rows` rows; the same rows in the same order whatever the batch size.

        Without a Checkpoint all of it lands as one transaction at the end. Runs in a thread of its own.

        Raises:
            TransientError, TerminalError: with the file, the row or the field, and the mend.
        """
        ...


class SourceStates(Protocol):
    """What outlives the job: a source's state, its cursors, and the fields that it was last seen to have."""

    def get(self, source: str) -> dict[str, Any] | None: ...

    def put(self, source: str, state: dict[str, Any]) -> None: ...

    def read_cursors(self, source: str, *, of_job: str | None = None) -> dict[str, dict[str, Any]]:
        """Stream -> cursor; `of_job`: only those that this job has stored."""
        ...

    def read_landed_by(self, source: str) -> dict[str, str]:
        """Stream -> the load that its cursor rests on: RAW must know it, or it isn't the RAW that the cursor was kept
        for."""
        ...

    def drop_cursors(self, source: str, streams: Collection[str]) -> None:
        """These streams are read from their start again. Raises as `put_cursors`."""
        ...

    def put_cursors(self, source: str, checkpoints: Mapping[str, Checkpoint], *, has_landed: bool) -> None:
        """By stream. `has_landed`: rows came with them.

        Raises:
            LeaseLost: the job is another worker's by now; nothing is written.
        """
        ...

    def read_fields(self, source: str) -> dict[str, dict[str, str | None]]:
        """RAW table -> the source's fields and their types, of the tables that were seen before."""
        ...

    def put_fields(self, source: str, fields: Mapping[str, Mapping[str, str | None]]) -> None:
        """By RAW table; other tables stay. Raises as `put_cursors`."""
        ...
