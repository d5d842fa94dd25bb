"""CSV as batches of text columns: clean blocks at the engine's speed, the rest record by record."""

import csv
import re
from collections.abc import Iterator, Sequence
from typing import Final

import pyarrow as pa

from services.ingest.adapters.files.batching import BatchBuilder, narrow
from services.ingest.adapters.files.columns import require_width, take_columns
from services.ingest.adapters.files.csv_blocks import parse_block
from services.ingest.adapters.files.data_files import DataFile
from services.ingest.adapters.files.text_streams import TextStream, open_text
from services.ingest.adapters.files.unpacking import Unpacker, unreadable
from services.ingest.domain.csv_records import BrokenRecord, CsvRecord, CsvSplitter, explain
from services.ingest.domain.file_batches import FileBatch
from services.ingest.domain.file_reading import FileReading
from services.ingest.domain.headers import (
    DELIMITERS,
    AmbiguousDelimiter,
    CsvHeader,
    find_unnamed,
    name_delimiter,
    read_header,
)
from services.ingest.domain.line_buffer import LineBuffer
from services.ingest.domain.mapping import TableMapping

BLOCK_BYTES: Final = 1 << 20
_SMALL_BLOCK_BYTES: Final = 1 << 14
_LONGEST_HEADER_BYTES: Final = 1 << 20
_SEPARATOR_LINE: Final = re.compile(rb'"?sep=([\x01-\x09\x0b\x0c\x0e-\x7f])"?\r?(?:\n|$)', re.IGNORECASE)  # Excel's


def read_csv(
    file: DataFile,
    mapping: TableMapping,
    reading: FileReading,
    unpacker: Unpacker,
    batch_rows: int,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[FileBatch]:
    """`block_bytes` 0: record by record throughout, which gives the same."""
    with open_text(file, mapping.encoding, unpacker) as text:
        reading.encoding, reading.encoding_known_by = text.encoding, text.known_by
        buffer = LineBuffer(text.read)
        header = _read_header(file, mapping, buffer, text)
        require_width(file, len(header.fields))  # also those without a name
        reading.delimiter = name_delimiter(header.delimiter)
        unnamed = find_unnamed(header.fields)
        titles = [title for place, title in enumerate(header.fields) if place not in unnamed]
        names = take_columns(file, mapping, titles, reading)
        builder = BatchBuilder(file.name, names, narrow(batch_rows, len(names)))
        splitter = CsvSplitter(
            buffer, len(header.fields), delimiter=header.delimiter, encoding=text.encoding, unnamed=unnamed
        )
        named = iter(names)
        columns = [None if place in unnamed else next(named) for place in range(len(header.fields))]
        for piece in _read_pieces(buffer, splitter, columns, header.delimiter, block_bytes):
            if isinstance(piece, CsvRecord) and piece.is_repaired:
                reading.repaired += 1
                reading.first_repaired_line = reading.first_repaired_line or piece.line
            yield from builder.add(piece)
        yield builder.finish()


def _read_header(file: DataFile, mapping: TableMapping, buffer: LineBuffer, text: TextStream) -> CsvHeader:
    """The buffer then stands behind it."""
    start, _ = buffer.look_ahead(_LONGEST_HEADER_BYTES)
    delimiter: str | None = mapping.delimiter
    if (told := _SEPARATOR_LINE.match(start)) is not None:
        delimiter = told[1].decode()
        if delimiter not in DELIMITERS.values():
            why = (
                f"its first line says that {delimiter!r} separates its columns; export it with {', '.join(DELIMITERS)}"
            )
            raise unreadable(file.name, why)
        buffer.take_line()
        start, _ = buffer.look_ahead(_LONGEST_HEADER_BYTES)
    if not start.strip():
        raise unreadable(file.name, "it is empty; the first line must name the columns")
    try:
        header = read_header(start.decode(errors="surrogateescape"), delimiter, mapping.fits)
    except csv.Error as error:
        raise unreadable(file.name, f"its first line, which must name the columns, has {explain(error)}") from None
    except AmbiguousDelimiter as error:
        why = (
            f"its header can be split by {error}, and has what the mapping needs both ways; name the `delimiter` in it"
        )
        raise unreadable(file.name, why) from None
    width = 1 if header.is_wrapped else len(header.fields)
    record = CsvSplitter(buffer, width, delimiter=header.delimiter, encoding=text.encoding).next_record()
    if isinstance(record, BrokenRecord):
        raise unreadable(file.name, f"its first line, which must name the columns, has {record.reason}")
    return header


def _read_pieces(
    buffer: LineBuffer, splitter: CsvSplitter, columns: Sequence[str | None], delimiter: str, block_bytes: int
) -> Iterator[pa.Table | CsvRecord | BrokenRecord]:
    """In the file's order. A block that is not clean is tried again in small ones: a bad row slows few others."""
    size = block_bytes
    while True:
        block, is_last = buffer.look_ahead(size or _SMALL_BLOCK_BYTES)
        if not block:
            return
        stretches = parse_block(block, columns, delimiter, is_last=is_last) if size else None
        if stretches is not None:
            for one in stretches:
                buffer.skip(one.size, one.lines)
                yield one.rows
                if one.is_broken_next and (record := splitter.next_record()) is not None:
                    yield record
            size = min(size * 4, block_bytes)
        elif size > _SMALL_BLOCK_BYTES:
            size = _SMALL_BLOCK_BYTES
        else:
            end = buffer.position + len(block)
            while buffer.position < end and (record := splitter.next_record()) is not None:
                yield record
