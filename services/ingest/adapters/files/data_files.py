"""What a folder holds as files that can be read: plain, packed by gzip, and the members of zip archives."""

import os
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

SUFFIXES: Final = (".csv", ".tsv", ".jsonl", ".parquet", ".xlsx", ".xlsm")
PACKED: Final = (".gz", ".zip")
_MOST_MEMBERS: Final = 10_000
_ENCRYPTED: Final = 0x1


@dataclass(frozen=True)
class DataFile:
    """One file or one member of an archive. `why_not` is set where it is known before opening that it can't be read."""

    path: Path
    member: str | None = None
    why_not: str | None = None

    @property
    def name(self) -> str:
        """As rejects name it: `contacts.csv.gz`, `export.zip!crm/contacts.csv`; bytes that are not UTF-8 as `\\xNN`."""
        # Linux takes any bytes for a name; text, as rows and messages are, does not.
        name = os.fsencode(self.path.name).decode(errors="backslashreplace")
        return name if self.member is None else f"{name}!{self.member}"

    @property
    def is_gzip(self) -> bool:
        return self.member is None and self.path.suffix.lower() == ".gz"

    @property
    def is_packed(self) -> bool:
        return self.member is not None or self.is_gzip

    @property
    def kind(self) -> str:
        """Suffix of what is inside, in lower case: `.csv` for `Contacts.CSV.gz`."""
        return self._inner.suffix.lower()

    @property
    def stem(self) -> str:
        """What a mapping's `files` names."""
        return self._inner.stem

    @property
    def is_readable(self) -> bool:
        """Of a kind that is read."""
        return self.kind in SUFFIXES

    @property
    def is_broken(self) -> bool:
        """An archive whose members nobody knows."""
        return self.member is None and self.why_not is not None

    @property
    def _inner(self) -> PurePosixPath:
        name = PurePosixPath(self.path.name if self.member is None else self.member)
        return PurePosixPath(name.stem) if self.is_gzip else name


def list_data_files(paths: Iterable[Path]) -> list[DataFile]:
    """In the order of the names, members of an archive in its place. Reads no more than archives' lists of contents."""
    return [file for path in paths for file in _expand(path)]


def _expand(path: Path) -> Iterator[DataFile]:
    if path.suffix.lower() != ".zip":
        yield DataFile(path)
        return
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if not _is_clutter(info.filename)]
    except (OSError, zipfile.BadZipFile, UnicodeDecodeError) as error:
        yield DataFile(path, why_not=f"as a zip archive: {str(error).rstrip('.')}")
        return
    if len(members) > _MOST_MEMBERS:
        yield DataFile(path, why_not=f"it has {len(members)} members, more than {_MOST_MEMBERS}")
        return
    times = Counter(info.filename for info in members)
    for info in sorted(members, key=lambda info: info.filename):
        why_not = "the archive has several members of this name" if times[info.filename] > 1 else None
        if info.flag_bits & _ENCRYPTED:
            why_not = "it is encrypted; pack it without a password"
        yield DataFile(path, info.filename, why_not)


def _is_clutter(name: str) -> bool:
    """Folders, hidden files, and what macOS puts beside each file."""
    parts = PurePosixPath(name).parts
    return name.endswith("/") or not parts or parts[0] == "__MACOSX" or parts[-1].startswith(".")
