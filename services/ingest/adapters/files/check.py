"""Reading a folder as a sync would, to say what would become of each row."""

import os
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from services.ingest.adapters.files.data_files import DataFile
from services.ingest.adapters.files.plan import FilesOptions, LandedFiles, TableFiles, plan_folder
from services.ingest.adapters.files.table_reading import TableReader
from services.ingest.adapters.files.unpacking import Unpacker
from services.ingest.domain.batches import RECORD_KEY
from services.ingest.domain.file_check import CheckedFile, CheckedReject, CheckedTable, FilesCheck
from services.ingest.domain.file_reading import FileReading
from services.ingest.domain.schema_drift import SchemaChanged, SchemaWatch
from services.ingest.settings import IngestSettings
from shared.errors import TerminalError

_MOST_REJECTS: Final = 1000
_WORKBOOK_MEGABYTES: Final = 128  # an API has less memory than a worker
_ONE_AT_A_TIME = threading.Lock()  # in this process: a check reads whole files, and the API has other callers


def check_folder(
    options: FilesOptions,
    settings: IngestSettings,
    cursors: Mapping[str, Mapping[str, Any]],
    watch: SchemaWatch | None = None,
) -> FilesCheck:
    """Every mapped file is read to its end, also those that have landed before; nothing is kept.

    Args:
        cursors: those of the source, as its syncs have stored them.
        watch: with the sync's policy and the fields that its tables had; without it new ones are taken.

    Raises:
        InvalidRequest, TerminalError: as `plan_folder`. What is wrong with a file is in the answer.
    """
    plan = plan_folder(options, settings)
    with _ONE_AT_A_TIME:
        unpacker = Unpacker(_room_for_packed(settings), settings.files_max_unpacked_mb, _WORKBOOK_MEGABYTES)
        memory = LandedFiles(cursors.get(plan.stream, {}), _no_pause)
        check = _Check(settings.batch_rows, unpacker, memory, watch or SchemaWatch("evolve", {}))
        tables = [check.read(one) for one in plan.tables]
    files = [file for table in tables for file in table.files]
    broken = {file.name: file.why_not or "" for file in plan.broken_files}
    return FilesCheck(
        is_well=bool(files) and not broken and not any(file.rejected or file.error for file in files),
        mapping=options.mapping,
        path=options.path,
        rows=sum(file.rows for file in files),
        rejected=sum(file.rejected for file in files),
        tables=tables,
        rejects=check.rejects,
        missing_tables=list(plan.missing_tables),
        unmapped_files=list(plan.unmapped_files),
        broken_files=broken,
    )


def _room_for_packed(settings: IngestSettings) -> Path:
    """Where a packed file waits that is read from its end: in containers the folder for temporary files is memory.

    An API may have no disk of its own, and what it may not write to is no room.
    """
    wanted = settings.spool_dir.absolute()
    nearest = next(folder for folder in (wanted, *wanted.parents) if folder.exists())
    return wanted if os.access(nearest, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())


def _no_pause(_seconds: float) -> None:
    return None


class _Check:
    def __init__(self, batch_rows: int, unpacker: Unpacker, memory: LandedFiles, watch: SchemaWatch) -> None:
        self.rejects: list[CheckedReject] = []
        self._batch_rows = batch_rows
        self._unpacker = unpacker
        self._memory = memory
        self._watch = watch

    def read(self, one: TableFiles) -> CheckedTable:
        try:
            _, landed = self._memory.look_at(one)
        except TerminalError:  # can't be opened: reading it says so below
            landed = {}
        reader = TableReader(one, self._unpacker, self._batch_rows, self._watch, _no_pause)
        files = [CheckedFile(file=file.name, has_landed=file.name in landed) for file in one.files]
        with suppress(TerminalError), _told_by(files[0], SchemaChanged):  # what is wrong with a file, it says itself
            reader.begin({})
        for file, checked in zip(one.files, files, strict=True):
            self._read_file(reader, one, file, checked)
        with _told_by(files[-1], SchemaChanged):
            reader.end()
        return CheckedTable(table=one.table, files=files)

    def _read_file(self, reader: TableReader, one: TableFiles, file: DataFile, checked: CheckedFile) -> None:
        reading = FileReading(one.table, file.name)
        with _told_by(checked, TerminalError):
            for batch in reader.read(file, reading):
                checked.without_key += batch.rows.column(RECORD_KEY).null_count
                for reject in batch.rejects[: _MOST_REJECTS - len(self.rejects)]:
                    place = {"table": one.table, "file": reject.file, "line": reject.line}
                    self.rejects.append(CheckedReject(**place, reason=reject.reason))
        checked.rows, checked.rejected = reading.rows, reading.rejected
        checked.notes = list(reading.notes())


@contextmanager
def _told_by(checked: CheckedFile, kind: type[TerminalError]) -> Iterator[None]:
    """What would end the sync is the file's error; the first one counts."""
    try:
        yield
    except kind as error:
        checked.error = checked.error or error.detail
        if error.code == "mapping-column-missing":
            checked.missing_columns = list(error.extensions["columns"])
