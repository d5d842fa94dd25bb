"""One file at a time as batches of text columns, in bounded memory. Nothing is cast, trimmed or guessed."""

import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from typing import Final

from services.ingest.adapters.files.columns import name_some
from services.ingest.adapters.files.csv_reader import read_csv
from services.ingest.adapters.files.data_files import DataFile
from services.ingest.adapters.files.json_lines import read_json_lines
from services.ingest.adapters.files.parquet_reader import read_parquet
from services.ingest.adapters.files.unpacking import Unpacker, unreadable
from services.ingest.adapters.files.workbooks import read_workbook
from services.ingest.domain.file_batches import FileBatch
from services.ingest.domain.file_reading import FileReading
from services.ingest.domain.line_buffer import LONGEST_LINE_BYTES, LineTooLong, TangledQuotes
from services.ingest.domain.mapping import TableMapping
from shared.errors import TerminalError

_Reader = Callable[[DataFile, TableMapping, FileReading, Unpacker, int], Iterator[FileBatch]]
_READERS: Final[dict[str, _Reader]] = {
    ".csv": read_csv,
    ".tsv": read_csv,
    ".jsonl": read_json_lines,
    ".parquet": read_parquet,
    ".xlsx": read_workbook,
    ".xlsm": read_workbook,
}


def read_file(
    file: DataFile, mapping: TableMapping, reading: FileReading, unpacker: Unpacker, batch_rows: int
) -> Generator[FileBatch, None, None]:
    """Batches of at most `batch_rows` rows, at least one batch; what the file is like is told to `reading`.

    Raises:
        TerminalError: `file-unreadable`, when not a single row can be told from the next; `file-too-large`;
            `mapping-column-ambiguous`; `mapping-column-missing`.
    """
    try:
        for batch in _READERS[file.kind](file, mapping, reading, unpacker, batch_rows):
            # A line of JSON may leave out what the next one has, so only the whole file shows a missing column.
            if file.kind != ".jsonl":
                _require_columns(file, mapping, reading)
            reading.rows += batch.rows
            reading.rejected += len(batch.rejects)
            yield batch
        if reading.rows:
            _require_columns(file, mapping, reading)
    except LineTooLong as error:
        why = (
            f"the row that begins in line {error.line} has more than {LONGEST_LINE_BYTES >> 20} MB. Close or take away "
            "a quote that is open there; else this is no file of rows"
        )
        raise unreadable(file.name, why) from None
    except TangledQuotes as error:
        why = (
            f"so many of its rows up to line {error.line} open a quote and never close it that none can be told from "
            "the next. Mend the quotes, or export it without them"
        )
        raise unreadable(file.name, why) from None
    except (EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError) as error:
        raise unreadable(file.name, f"its packing is broken or unknown: {str(error).rstrip('.')}") from None
    except OSError as error:
        raise unreadable(file.name, error.strerror or str(error)) from None


def _require_columns(file: DataFile, mapping: TableMapping, reading: FileReading) -> None:
    missing = mapping.missing_from(reading.columns)
    if missing:
        raise TerminalError(
            f"{file.name} has no column {', '.join(missing)}, which the mapping reads into raw.{reading.table}. It has "
            f"{name_some(reading.columns)}. Mend the mapping: name the column as it is now or as an alias, or mark it "
            "`optional: true`.",
            code="mapping-column-missing",
            title="The mapping names a column that the file doesn't have",
            status=422,
            file=file.name,
            table=reading.table,
            columns=missing,
        )
