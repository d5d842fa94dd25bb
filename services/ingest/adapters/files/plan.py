"""Which files of a folder a mapping takes into which tables, and which of them have landed before as they are."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from services.ingest.adapters.files.data_files import DataFile, list_data_files
from services.ingest.adapters.files.folder import list_files, read_mapping, resolve_folder
from services.ingest.adapters.files.unpacking import unreadable
from services.ingest.domain.loaded_files import FileContent, LoadedFile, LoadedTable, find_known, reading_digest
from services.ingest.domain.mapping import SourceMapping, TableMapping
from services.ingest.settings import IngestSettings

_CHUNK_BYTES = 1 << 20


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


@dataclass(frozen=True)
class FolderPlan:
    """A folder as one mapping sees it. Made without opening a data file, but for the lists of what archives hold."""

    mapping: SourceMapping
    folder: Path
    """The real one, however it was spelled."""
    stream: str
    """Under which the sync's cursor is kept: another mapping, or another folder, is another stream."""
    files: tuple[DataFile, ...]
    tables: tuple[TableFiles, ...]

    @property
    def missing_tables(self) -> tuple[str, ...]:
        """Of the mapping, without a file."""
        present = {one.table for one in self.tables}
        return tuple(table for table in self.mapping.tables if table not in present)

    @property
    def unmapped_files(self) -> tuple[str, ...]:
        """Names of those that no table takes."""
        taken = {file for one in self.tables for file in one.files}
        return tuple(file.name for file in self.files if file not in taken and not file.is_broken)

    @property
    def broken_files(self) -> tuple[DataFile, ...]:
        """Archives that can't be opened: nobody knows what of them is mapped."""
        return tuple(file for file in self.files if file.is_broken)


def plan_folder(options: FilesOptions, settings: IngestSettings) -> FolderPlan:
    """What a sync with these options would read.

    Raises:
        InvalidRequest: an unknown mapping, or a folder that is missing or outside the roots.
        TerminalError: `mapping-invalid`.
    """
    mapping = read_mapping(options.mapping, settings)
    folder = resolve_folder(options.path, settings.files_roots)
    files = list_data_files(list_files(folder, settings.files_roots))
    tables = []
    for table, one in mapping.tables.items():
        taken = tuple(file for file in files if file.is_readable and one.takes(file.stem))
        if taken:
            tables.append(TableFiles(table, one, taken))
    return FolderPlan(mapping, folder, f"{options.mapping} {folder}", tuple(files), tuple(tables))


@dataclass
class LandedFiles:
    """The memory of a folder: the cursor of its last sync, against what lies there now."""

    cursor: Mapping[str, Any]
    pause: Callable[[float], None]
    """Called while files are hashed; may raise."""
    _digests: dict[Path, str] = field(default_factory=dict)

    def look_at(self, one: TableFiles) -> tuple[list[FileContent], dict[str, LoadedFile]]:
        """The table's files by content, and those of them that need not be read again, by name."""
        present = [FileContent(file.name, self._digest(file.path)) for file in one.files]
        stored = self.cursor.get("tables", {}).get(one.table)
        loaded = None if stored is None else LoadedTable.from_json(stored)
        return present, find_known(present, loaded, reading_digest(one.table, one.mapping))

    def _digest(self, path: Path) -> str:
        """Of an archive as a whole, once for all its members."""
        if path not in self._digests:
            self._digests[path] = self._read_digest(path)
        return self._digests[path]

    def _read_digest(self, path: Path) -> str:
        digest = hashlib.sha256()
        try:
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    self.pause(0)
        except OSError as error:
            raise unreadable(path.name, error.strerror or str(error)) from None
        return digest.hexdigest()


def to_loaded_table(one: TableFiles, files: Sequence[LoadedFile]) -> LoadedTable:
    """What the next sync is told of the table."""
    return LoadedTable(reading_digest(one.table, one.mapping), tuple(files))
