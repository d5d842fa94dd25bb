"""What every source is to the flow. A new source is one adapter and one line in `adapters/sources.py`."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa


@dataclass(frozen=True)
class Reject:
    """A row that can't be split into columns. `line` is where it begins in the file, from 1."""

    file: str
    line: int
    reason: str
    content: str


@dataclass(frozen=True)
class SourceBatch:
    """Rows for one RAW table, in the order in which they arrived.

    `rows` has the columns of `domain/batches.py:batch_schema`: source text unchanged, never cast or trimmed.
    """

    table: str
    rows: pa.Table
    rejects: tuple[Reject, ...] = field(default=())


class Source(Protocol):
    """One reading of one source, with its options already checked.

    Both shipped sources read everything each time, so `mode` makes no difference to them: the merge finds what changed.
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

    def read(self, batch_rows: int) -> Iterator[SourceBatch]:
        """Batches of at most `batch_rows` rows; the same rows in the same order whatever the batch size.

        Raises:
            TransientError, TerminalError: with the file, the row or the field, and the mend.
        """
        ...


class SourceStates(Protocol):
    """Where a source's state outlives the job."""

    def get(self, source: str) -> dict[str, Any] | None: ...

    def put(self, source: str, state: dict[str, Any]) -> None: ...
