"""The `files` source: every mapped file of one folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from services.ingest.adapters.files.folder import SUFFIXES, list_files, read_mapping, resolve_folder
from services.ingest.adapters.files.readers import read_file
from services.ingest.domain.mapping import SourceMapping, TableMapping, to_source_batch
from services.ingest.domain.sources import SourceBatch, SyncRun
from services.ingest.settings import IngestSettings
from shared.errors import InvalidRequest, TerminalError


class FilesOptions(BaseModel):
    """A folder and the mapping to read it by."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mapping: str = Field(min_length=1, max_length=64, description="Name of a file in config/sources, without .yml")
    path: str = Field(min_length=1, max_length=4096, description="Folder inside GTM_FILES_ROOTS")


class FilesSource:
    """See `services.ingest.domain.sources.Source`. Holds what to read; `read` opens one file at a time."""

    name = "files"
    state: dict[str, Any] | None = None
    is_complete = True

    def __init__(self, mapping_name: str, mapping: SourceMapping, files: list[Path]) -> None:
        self._mapping_name = mapping_name
        self._reads = [
            (table, table_mapping, file)
            for table, table_mapping in mapping.tables.items()
            for file in files
            if file.suffix.lower() in SUFFIXES and file.stem in table_mapping.files
        ]
        read = {table for table, _, _ in self._reads}
        self.missing_tables = tuple(table for table in mapping.tables if table not in read)
        taken = {file for _, _, file in self._reads}
        self.unmapped_files = tuple(file.name for file in files if file not in taken)
        if not taken:
            wanted = ", ".join(stem for table in mapping.tables.values() for stem in table.files)
            raise InvalidRequest(
                f"options.path holds no file that mapping '{mapping_name}' takes: {wanted} as {', '.join(SUFFIXES)}.",
                code="no-mapped-files",
                title="Nothing to read",
                field="options.path",
            )

    def read(self, batch_rows: int) -> Iterator[SourceBatch]:
        """Table by table in the mapping's order, file by file by name."""
        for table, mapping, file in self._reads:
            seen: dict[str, None] = {}
            rows = 0
            for batch in read_file(file, batch_rows):
                seen.update(dict.fromkeys(batch.columns))
                rows += batch.rows
                if file.suffix.lower() != ".jsonl":
                    self._check_columns(table, mapping, file, seen)
                yield to_source_batch(table, mapping, batch)
            # A line of JSON may leave out what the next one has, so only the whole file shows a missing column.
            if rows:
                self._check_columns(table, mapping, file, seen)

    def _check_columns(self, table: str, mapping: TableMapping, file: Path, present: dict[str, None]) -> None:
        missing = mapping.missing_from(present)
        if missing:
            raise TerminalError(
                f"{file.name} has no column {', '.join(missing)}, which mapping '{self._mapping_name}' reads into "
                f"raw.{table}. It has {', '.join(present)}. Mend the mapping, or mark the column `optional: true`.",
                code="mapping-column-missing",
                title="The mapping names a column that the file doesn't have",
                status=422,
                file=file.name,
                table=table,
                columns=missing,
            )


def check_files(options: FilesOptions, settings: IngestSettings) -> None:
    """Raises InvalidRequest for an unknown mapping, or a folder that is missing, empty or outside the roots."""
    open_files(options, settings)


def open_files(options: FilesOptions, settings: IngestSettings, run: SyncRun | None = None) -> FilesSource:
    """The folder's mapped files. Raises as `check_files`; opens no data file."""
    mapping = read_mapping(options.mapping, settings)
    folder = resolve_folder(options.path, settings.files_roots)
    return FilesSource(options.mapping, mapping, list_files(folder, settings.files_roots))
