"""The columns of a file under the names that the mapping has for them."""

from collections.abc import Sequence

from services.ingest.adapters.files.data_files import DataFile
from services.ingest.adapters.files.unpacking import unreadable
from services.ingest.domain.file_reading import FileReading
from services.ingest.domain.mapping import TableMapping
from shared.errors import TerminalError


def take_columns(file: DataFile, mapping: TableMapping, header: Sequence[str], reading: FileReading) -> list[str]:
    """The header's names, where it has drifted the mapping's; recorded in `reading`.

    Raises:
        TerminalError: `file-unreadable`, a name twice; `mapping-column-ambiguous`, two that could be the one wanted.
    """
    if len(set(header)) < len(header):
        twice = sorted({name for name in header if header.count(name) > 1})
        raise unreadable(file.name, f"its header names {', '.join(twice)} twice; rename one")
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
