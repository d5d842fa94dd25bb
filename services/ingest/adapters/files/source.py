"""The `files` source: every mapped file of one folder, as one transaction."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from services.ingest.adapters.files.data_files import SUFFIXES
from services.ingest.adapters.files.plan import (
    FilesOptions,
    LandedFiles,
    TableFiles,
    plan_folder,
    to_loaded_table,
)
from services.ingest.adapters.files.table_reading import TableReader
from services.ingest.adapters.files.unpacking import Unpacker, unreadable
from services.ingest.domain.file_reading import FileReading
from services.ingest.domain.loaded_files import FileContent, LoadedFile
from services.ingest.domain.schema_drift import SchemaWatch
from services.ingest.domain.sources import Checkpoint, SourceBatch, SourceEvent, SyncRun
from services.ingest.settings import IngestSettings
from shared.errors import InvalidRequest

_NAMED_AT_MOST: Final = 5


class FilesSource:
    """See `services.ingest.domain.sources.Source`. Holds what to read; `read` opens one file at a time."""

    name = "files"
    state: dict[str, Any] | None = None
    is_complete = True

    def __init__(self, options: FilesOptions, settings: IngestSettings, run: SyncRun) -> None:
        self._plan = plan = plan_folder(options, settings)
        if not plan.tables:
            wanted = ", ".join(stem for table in plan.mapping.tables.values() for stem in table.files)
            raise InvalidRequest(
                f"options.path holds no file that mapping '{options.mapping}' takes: {wanted} as "
                f"{', '.join(SUFFIXES)}, also as .gz or in a .zip.",
                code="no-mapped-files",
                title="Nothing to read",
                field="options.path",
            )
        for file in plan.broken_files:
            raise unreadable(file.name, file.why_not or "")
        self.missing_tables = plan.missing_tables
        self.unmapped_files = plan.unmapped_files
        self._run = run
        self._watch = SchemaWatch(run.on_schema_change, dict(run.fields))
        self._unpacker = Unpacker(settings.spool_dir, settings.files_max_unpacked_mb)

    def read(self, batch_rows: int) -> Iterator[SourceEvent]:
        """Table by table in the mapping's order, file by file by name; those that have landed before are skipped."""
        before = self._run.cursors.get(self._plan.stream, {})
        memory = LandedFiles(before, self._run.pause)
        tables: dict[str, Any] = {}
        skipped: list[str] = []
        for one in self._plan.tables:
            # Before the files are read: one that changes meanwhile is then read again the next time.
            present, known = memory.look_at(one)
            skipped += known
            readings = {file.name: FileReading(one.table, file.name) for file in one.files if file.name not in known}
            yield from self._read_table(one, known, readings, batch_rows)
            files = [_to_loaded(content, known, readings) for content in present]
            tables[one.table] = to_loaded_table(one, files).to_json()
        if skipped:
            self._run.note(_describe_skipped(skipped))
        yield Checkpoint(self._plan.stream, {"tables": tables}, is_final=True)

    def _read_table(
        self, one: TableFiles, known: dict[str, LoadedFile], readings: dict[str, FileReading], batch_rows: int
    ) -> Iterator[SourceBatch]:
        table = TableReader(one, self._unpacker, batch_rows, self._watch, self._run.pause)
        yield table.begin(known)
        for file in one.files:
            reading = readings.get(file.name)
            if reading is None:
                continue
            yield from table.read(file, reading)
            for note in reading.notes():
                self._run.note(note)
        if (end := table.end()) is not None:
            yield end


def check_files(options: FilesOptions, settings: IngestSettings) -> None:
    """Raises InvalidRequest for an unknown mapping, or a folder that is missing, empty or outside the roots; and
    TerminalError for a mapping or an archive that is broken.
    """
    FilesSource(options, settings, SyncRun("", "full", datetime.now(UTC)))


def open_files(options: FilesOptions, settings: IngestSettings, run: SyncRun) -> FilesSource:
    """The folder's mapped files. Raises as `check_files`; opens no data file."""
    return FilesSource(options, settings, run)


def _to_loaded(content: FileContent, known: dict[str, LoadedFile], readings: dict[str, FileReading]) -> LoadedFile:
    if content.file in known:  # under the name that it has now
        return replace(known[content.file], file=content.file)
    reading = readings[content.file]
    return LoadedFile(content.file, content.digest, reading.rows, reading.rejected, reading.columns, reading.held)


def _describe_skipped(names: list[str]) -> str:
    files = list(dict.fromkeys(names))
    more = f" and {len(files) - _NAMED_AT_MOST} more" if len(files) > _NAMED_AT_MOST else ""
    return (
        f"Not read again, since they landed before as they are: {', '.join(files[:_NAMED_AT_MOST])}{more}. "
        "mode=full reads all."
    )
