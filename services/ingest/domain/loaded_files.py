"""Which files of a table need not be read again: those whose content an earlier sync has landed by the same mapping."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import takewhile
from typing import Any, Final

from services.ingest.domain.mapping import TableMapping
from services.ingest.domain.raw_schema import source_columns

_READERS_VERSION: Final = 2  # raise it when the readers take the same bytes for other rows


@dataclass(frozen=True)
class FileContent:
    """A file as it lies there now, or as it was when it was landed. `digest` is of the bytes on disk."""

    file: str
    digest: str


@dataclass(frozen=True)
class LoadedFile(FileContent):
    """What its reading gave."""

    rows: int
    rejected: int
    columns: tuple[str, ...]
    held: int = 0
    """Rejected only because of fields that were not accepted yet: once they are, the file is to be read again."""


@dataclass(frozen=True)
class LoadedTable:
    """What the last sync of a folder has landed in one table. `read_as` stands for the mapping and RAW's columns."""

    read_as: str
    files: tuple[LoadedFile, ...]

    def to_json(self) -> dict[str, Any]:
        """For the cursor."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "LoadedTable":
        """Of what `to_json` gave and JSON has carried."""
        files = (LoadedFile(**{**one, "columns": tuple(one["columns"])}) for one in stored["files"])
        return cls(stored["read_as"], tuple(files))


def reading_digest(table: str, mapping: TableMapping) -> str:
    """Changes with everything that makes other rows of the same bytes."""
    how = [_READERS_VERSION, table, source_columns(table), mapping.model_dump(mode="json")]
    return hashlib.sha256(json.dumps(how, sort_keys=True).encode()).hexdigest()


def find_known(present: Sequence[FileContent], loaded: LoadedTable | None, read_as: str) -> dict[str, LoadedFile]:
    """The present files that may be skipped, by name: RAW is then as if all of them had been read, in their order.

    Of a record that is in several files the last one counts. So files are skipped when they are the landed ones, from
    some place to the last of them, in their order and unchanged, and only new ones follow. Else all are read: what a
    changed or vanished file no longer gives may have to come from one before it. From a file on of which rows were held
    back all are read, too.
    """
    if loaded is None or loaded.read_as != read_as:
        return {}
    digests = [one.digest for one in present]
    for place in range(len(loaded.files)):
        left = loaded.files[place:]
        if digests[: len(left)] == [one.digest for one in left]:
            whole = takewhile(lambda pair: not pair[1].held, zip(present, left, strict=False))
            return {now.file: one for now, one in whole}
    return {}
