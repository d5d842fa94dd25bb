"""Reading a folder as a sync would, to say what would become of each row."""

import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from services.ingest.adapters.files.data_files import DataFile
from services.ingest.adapters.files.plan import FilesOptions, LandedFiles, TableFiles, plan_folder
from services.ingest.adapters.files.readers import read_file
from services.ingest.adapters.files.unpacking import Unpacker
from services.ingest.domain.batches import RECORD_KEY
from services.ingest.domain.file_batches import to_source_batch
from services.ingest.domain.file_check import CheckedFile, CheckedReject, CheckedTable, FilesCheck
from services.ingest.domain.file_reading import FileReading
from services.ingest.settings import IngestSettings
from shared.errors import TerminalError

_MOST_REJECTS: Final = 1000
_WORKBOOK_MEGABYTES: Final = 128  # an API has less memory than a worker
_ONE_AT_A_TIME = threading.Lock()  # in this process: a check reads whole files, and the API has other callers


def check_folder(
    options: FilesOptions, settings: IngestSettings, cursors: Mapping[str, Mapping[str, Any]]
) -> FilesCheck:
    """Every mapped file is read to its end, also those that have landed before; nothing is kept.

    Args:
        cursors: those of the source, as its syncs have stored them.

    Raises:
        InvalidRequest, TerminalError: as `plan_folder`. What is wrong with a file is in the answer.
    """
    plan = plan_folder(options, settings)
    with _ONE_AT_A_TIME:
        # The API may have no disk of its own: a packed file waits in the folder for temporary ones.
        unpacker = Unpacker(Path(tempfile.gettempdir()), settings.files_max_unpacked_mb, _WORKBOOK_MEGABYTES)
        check = _Check(settings.batch_rows, unpacker, LandedFiles(cursors.get(plan.stream, {}), lambda _seconds: None))
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


class _Check:
    def __init__(self, batch_rows: int, unpacker: Unpacker, memory: LandedFiles) -> None:
        self.rejects: list[CheckedReject] = []
        self._batch_rows = batch_rows
        self._unpacker = unpacker
        self._memory = memory

    def read(self, one: TableFiles) -> CheckedTable:
        try:
            _, known = self._memory.look_at(one)
        except TerminalError:  # can't be opened: reading it says so below
            known = {}
        return CheckedTable(
            table=one.table, files=[self._read_file(one, file, file.name in known) for file in one.files]
        )

    def _read_file(self, one: TableFiles, file: DataFile, has_landed: bool) -> CheckedFile:
        reading = FileReading(one.table, file.name)
        checked = CheckedFile(file=file.name, has_landed=has_landed)
        try:
            for batch in read_file(file, one.mapping, reading, self._unpacker, self._batch_rows):
                rows = to_source_batch(one.table, one.mapping, batch).rows
                checked.without_key += rows.column(RECORD_KEY).null_count
                for reject in batch.rejects[: _MOST_REJECTS - len(self.rejects)]:
                    place = {"table": one.table, "file": reject.file, "line": reject.line}
                    self.rejects.append(CheckedReject(**place, reason=reject.reason))
        except TerminalError as error:
            checked.error = error.detail
            if error.code == "mapping-column-missing":
                checked.missing_columns = list(error.extensions["columns"])
        checked.rows, checked.rejected = reading.rows, reading.rejected
        checked.notes = list(reading.notes())
        return checked
