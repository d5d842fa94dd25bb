"""The columns of a file under the names that the mapping has for them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from services.ingest.adapters.files.data_files import DataFile
from services.ingest.adapters.files.unpacking import unreadable
from services.ingest.domain.file_reading import FileReading
from services.ingest.domain.mapping import TableMapping
from shared.errors import TerminalError

MOST_COLUMNS: Final = 4_096  # a CRM gives an object a thousand. Each more costs memory and time in every batch
_NAMED_AT_MOST: Final = 10


def require_width(file: DataFile, columns: int) -> None:
    """Raises TerminalError `file-unreadable`: a header of a megabyte can name half a million columns."""
    if columns > MOST_COLUMNS:
        why = f"it has more than {MOST_COLUMNS:,} columns; is that a table? Then leave out what nobody reads"
        raise unreadable(file.name, why)


def name_some(names: Iterable[str]) -> str:
    """The first few, and how many more: a message is no place for thousands."""
    known = list(names)
    more = f" and {len(known) - _NAMED_AT_MOST} more" if len(known) > _NAMED_AT_MOST else ""
    return f"{', '.join(known[:_NAMED_AT_MOST])}{more}"


def take_columns(file: DataFile, mapping: TableMapping, header: Sequence[str], reading: FileReading) -> list[str]:
    """The header's names, where it has drifted the mapping's; recorded in `reading`.

    Raises:
        TerminalError: `file-unreadable`, a name twice, or too many; `mapping-column-ambiguous`, two that could be the
            one wanted.
    """
    require_width(file, len(header))
    if len(set(header)) < len(header):
        twice = sorted(name for name, times in Counter(header).items() if times > 1)
        raise unreadable(file.name, f"its header names {name_some(twice)} twice; rename one")
    match = mapping.match(header)
    if match.ambiguous:
        name, found = next(iter(match.ambiguous.items()))
        raise TerminalError(
            f"{file.name} has {' and '.join(found)}, and either could be the column {name} that the mapping reads into "
            f"raw.{reading.table}. Write one of them into the mapping to the letter, as the column or as an alias.",
            code="mapping-column-ambiguous",
            title="Two columns of the file could be the one that the mapping names",
            status=422,
            file=file.name,
            table=reading.table,
            columns=list(found),
        )
    names = [match.renamed.get(name, name) for name in header]
    reading.renamed.update(match.renamed)
    reading.columns = tuple(names)
    return names
