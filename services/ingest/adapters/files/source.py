"""The `files` source: every mapped file of one folder, as one transaction."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from services.ingest.adapters.files.data_files import SUFFIXES, DataFile, list_data_files
from services.ingest.adapters.files.folder import list_files, read_mapping, resolve_folder
from services.ingest.adapters.files.readers import read_file
from services.ingest.adapters.files.unpacking import Unpacker, unreadable
from services.ingest.domain.batches import batch_schema
from services.ingest.domain.file_batches import to_source_batch
from services.ingest.domain.file_reading import FileReading
from services.ingest.domain.loaded_files import FileContent, LoadedFile, LoadedTable, find_known, reading_digest
from services.ingest.domain.mapping import SourceMapping, TableMapping
from services.ingest.domain.sources import Checkpoint, KnownRows, SourceBatch, SourceEvent, SyncRun
from services.ingest.settings import IngestSettings
from shared.errors import InvalidRequest

_NAMED_AT_MOST: Final = 5


class FilesOptions(BaseModel):
    """A folder and the mapping to read it by."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mapping: str = Field(min_length=1, max_length=64, description="Name of a file in config/sources, without .yml")
    path: str = Field(min_length=1, max_length=4096, description="Folder inside GTM_FILES_ROOTS")


@dataclass(frozen=True)
class TableFiles:
    """One table of a mapping and the files of the folder that it takes, in the order in which they are read."""

    table: str
    mapping: TableMapping
    files: tuple[DataFile, ...]

    @property
    def has_one_header(self) -> bool:
        """One file that names its columns once."""
        return len(self.files) == 1 and self.files[0].kind != ".jsonl"


class FilesSource:
    """See `services.ingest.domain.sources.Source`. Holds what to read; `read` opens one file at a time."""

    name = "files"
    state: dict[str, Any] | None = None
    is_complete = True

    def __init__(self, options: FilesOptions, settings: IngestSettings, run: SyncRun) -> None:
        mapping, files = find_data_files(options, settings)
        self.tables = match_files(mapping, files)
        read = {one.table for one in self.tables}
        self.missing_tables = tuple(table for table in mapping.tables if table not in read)
        taken = {file for one in self.tables for file in one.files}
        self.unmapped_files = tuple(file.name for file in files if file not in taken)
        if not taken:
            wanted = ", ".join(stem for table in mapping.tables.values() for stem in table.files)
            raise InvalidRequest(
                f"options.path holds no file that mapping '{options.mapping}' takes: {wanted} as "
                f"{', '.join(SUFFIXES)}, also as .gz or in a .zip.",
                code="no-mapped-files",
                title="Nothing to read",
                field="options.path",
            )
        self._run = run
        self._unpacker = Unpacker(settings.spool_dir, settings.files_max_unpacked_mb)
        self._stream = f"{options.mapping} {resolve_folder(options.path, settings.files_roots)}"
        self._digest_of = lru_cache(maxsize=None)(_digest)

    def read(self, batch_rows: int) -> Iterator[SourceEvent]:
        """Table by table in the mapping's order, file by file by name; those that have landed before are skipped."""
        remembered = self._run.cursors.get(self._stream, {})
        cursor: dict[str, Any] = {}
        skipped: list[str] = []
        for one in self.tables:
            # Before the files are read: one that changes meanwhile is then read again the next time.
            present = [FileContent(file.name, self._digest_of(file.path, self._run.pause)) for file in one.files]
            loaded = LoadedTable.from_json(remembered[one.table]) if one.table in remembered else None
            read_as = reading_digest(one.table, one.mapping)
            known = find_known(present, loaded, read_as)
            skipped += known
            readings = {file.name: FileReading(one.table, file.name) for file in one.files if file.name not in known}
            yield from self._read_table(one, known, readings, batch_rows)
            now = [known.get(content.file) or _to_loaded(content, readings[content.file]) for content in present]
            files = tuple(replace(file, file=content.file) for file, content in zip(now, present, strict=True))
            cursor[one.table] = LoadedTable(read_as, files).to_json()
        if skipped:
            self._run.note(_describe_skipped(skipped))
        yield Checkpoint(self._stream, cursor, is_final=True)

    def _read_table(
        self, one: TableFiles, known: dict[str, LoadedFile], readings: dict[str, FileReading], batch_rows: int
    ) -> Iterator[SourceBatch]:
        fields = self._fields(one, known)
        skipped = KnownRows(sum(file.rows for file in known.values()), sum(file.rejected for file in known.values()))
        yield SourceBatch(one.table, batch_schema(one.table).empty_table(), fields=fields, known=skipped)
        for file in one.files:
            if file.name in known:
                continue
            reading = readings[file.name]
            for batch in read_file(file, one.mapping, reading, self._unpacker, batch_rows):
                fields = dict.fromkeys(reading.columns) if one.has_one_header else fields
                yield replace(to_source_batch(one.table, one.mapping, batch), fields=fields)
            for note in reading.notes():
                self._run.note(note)

    def _fields(self, one: TableFiles, known: dict[str, LoadedFile]) -> dict[str, str | None]:
        """Of all the table's files, so that one that lacks a column takes it from none of the others."""
        fields: dict[str, str | None] = {}
        if one.has_one_header or any(file.kind == ".jsonl" for file in one.files):
            return fields  # seen in time when it is read; only the last line tells
        for file in one.files:
            if file.name in known:
                fields.update(dict.fromkeys(known[file.name].columns))
                continue
            reading = FileReading(one.table, file.name)
            with closing(read_file(file, one.mapping, reading, self._unpacker.fresh(), 1)) as batches:
                next(batches)
            fields.update(dict.fromkeys(reading.columns))
        return fields


def find_data_files(options: FilesOptions, settings: IngestSettings) -> tuple[SourceMapping, list[DataFile]]:
    """The mapping, and all that the folder holds, members of archives one by one.

    Raises:
        InvalidRequest: an unknown mapping, or a folder that is missing or outside the roots.
        TerminalError: `mapping-invalid`.
    """
    mapping = read_mapping(options.mapping, settings)
    folder = resolve_folder(options.path, settings.files_roots)
    return mapping, list_data_files(list_files(folder, settings.files_roots))


def match_files(mapping: SourceMapping, files: list[DataFile]) -> list[TableFiles]:
    """Tables without a file are left out."""
    tables = []
    for table, table_mapping in mapping.tables.items():
        taken = tuple(file for file in files if file.is_readable and table_mapping.takes(file.stem))
        if taken:
            tables.append(TableFiles(table, table_mapping, taken))
    return tables


def check_files(options: FilesOptions, settings: IngestSettings) -> None:
    """Raises InvalidRequest for an unknown mapping, or a folder that is missing, empty or outside the roots; and
    TerminalError for an archive whose list of contents can't be read: nobody knows what of it is mapped.
    """
    FilesSource(options, settings, SyncRun("", "full", datetime.now(UTC)))
    for file in find_data_files(options, settings)[1]:
        if file.is_broken:
            raise unreadable(file.name, file.why_not or "")


def open_files(options: FilesOptions, settings: IngestSettings, run: SyncRun) -> FilesSource:
    """The folder's mapped files. Raises as `check_files`; opens no data file."""
    return FilesSource(options, settings, run)


def _digest(path: Path, pause: Callable[[float], None]) -> str:
    try:
        with path.open("rb") as file:
            digest = hashlib.sha256()
            while chunk := file.read(1 << 20):
                digest.update(chunk)
                pause(0)
            return digest.hexdigest()
    except OSError as error:
        raise unreadable(path.name, error.strerror or str(error)) from None


def _to_loaded(content: FileContent, reading: FileReading) -> LoadedFile:
    return LoadedFile(content.file, content.digest, reading.rows, reading.rejected, reading.columns)


def _describe_skipped(names: list[str]) -> str:
    files = list(dict.fromkeys(names))
    more = f" and {len(files) - _NAMED_AT_MOST} more" if len(files) > _NAMED_AT_MOST else ""
    return (
        f"Not read again, since they landed before as they are: {', '.join(files[:_NAMED_AT_MOST])}{more}. "
        "mode=full reads all."
    )
