"""Reading a folder by a mapping without landing it: what the `files` source gives, and what it tells of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from services.ingest.adapters.files.plan import FilesOptions
from services.ingest.adapters.files.source import FilesSource
from services.ingest.domain.sources import Checkpoint, Reject, SourceBatch, SyncRun
from services.ingest.settings import IngestSettings


@dataclass
class FolderReading:
    """Rows of all tables in the order in which they came, as dicts; `known` counts those that were not read again."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unmapped_files: tuple[str, ...] = ()
    fields: list[dict[str, str | None]] = field(default_factory=list)
    known: tuple[int, int] = (0, 0)
    cursors: dict[str, dict[str, Any]] = field(default_factory=dict)
    batches: list[int] = field(default_factory=list)
    """Rows of each, and rejects."""

    def columns(self, *names: str) -> list[tuple[Any, ...]]:
        """These columns, by id."""
        return sorted(tuple(row[name] for name in names) for row in self.rows)


ReadFolder = Callable[..., FolderReading]


def read_folder(
    settings: IngestSettings,
    folder: Path,
    *,
    mapping: str = "test",
    batch_rows: int = 50_000,
    cursors: Mapping[str, dict[str, Any]] | None = None,
    mode: Literal["incremental", "full"] = "incremental",
    job_id: str = "job-1",
) -> FolderReading:
    """`mapping` is a file of the settings' sources_dir."""
    reading = FolderReading()
    run = SyncRun(job_id, mode, datetime.now(UTC), cursors=dict(cursors or {}), note=reading.notes.append)
    source = FilesSource(FilesOptions(mapping=mapping, path=str(folder)), settings, run)
    reading.unmapped_files = source.unmapped_files
    for event in source.read(batch_rows):
        if isinstance(event, Checkpoint):
            reading.cursors[event.stream] = event.cursor
            continue
        assert isinstance(event, SourceBatch) and event.rows.num_rows + len(event.rejects) <= batch_rows
        reading.rows += event.rows.to_pylist()
        reading.batches.append(event.rows.num_rows + len(event.rejects))
        reading.rejects += event.rejects
        reading.known = (reading.known[0] + event.known.rows, reading.known[1] + event.known.rejected)
        if event.fields:
            reading.fields.append(dict(event.fields))
    return reading
