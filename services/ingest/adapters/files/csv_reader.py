"""CSV as batches of text columns: clean blocks at the engine's speed, the rest record by record."""

import csv
from collections.abc import Iterator, Sequence
from typing import Final

import pyarrow as pa

from services.ingest.adapters.files.batching import BatchBuilder, narrow
from services.ingest.adapters.files.columns import take_columns
from services.ingest.adapters.files.csv_blocks import parse_block
from services.ingest.adapters.files.data_files import DataFile
from services.ingest.adapters.files.text_streams import TextStream, open_text
from services.ingest.adapters.files.unpacking import Unpacker, unreadable
from services.ingest.domain.csv_records import BrokenRecord, CsvRecord, CsvSplitter, explain
from services.ingest.domain.file_batches import FileBatch
from services.ingest.domain.file_reading import FileReading
from services.ingest.domain.headers import AmbiguousDelimiter, CsvHeader, name_delimiter, read_header
from services.ingest.domain.line_buffer import LineBuffer
from services.ingest.domain.mapping import TableMapping

BLOCK_BYTES: Final = 1 << 20
_SMALL_BLOCK_BYTES: Final = 1 << 14
_LONGEST_HEADER_BYTES: Final = 1 << 20


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
        reading.delimiter = name_delimiter(header.delimiter)
        names = take_columns(file, mapping, header.fields, reading)
        builder = BatchBuilder(file.name, names, narrow(batch_rows, len(names)))
        splitter = CsvSplitter(buffer, width=len(names), delimiter=header.delimiter, encoding=text.encoding)
        for piece in _read_pieces(buffer, splitter, names, header.delimiter, block_bytes):
            if isinstance(piece, CsvRecord) and piece.is_repaired:
                reading.repaired += 1
                reading.first_repaired_line = reading.first_repaired_line or piece.line
            yield from builder.add(piece)
        yield builder.finish()


def _read_header(file: DataFile, mapping: TableMapping, buffer: LineBuffer, text: TextStream) -> CsvHeader:
    """The buffer then stands behind it."""
    start, _ = buffer.look_ahead(_LONGEST_HEADER_BYTES)
    if not start.strip():
        raise unreadable(file.name, "it is empty; the first line must name the columns")
    try:
        header = read_header(start.decode(errors="surrogateescape"), mapping.delimiter, mapping.fits)
    except csv.Error as error:
        raise unreadable(file.name, f"its first line, which must name the columns, has {explain(error)}") from None
    except AmbiguousDelimiter as error:
        why = (
            f"its header can be split by {error}, and has what the mapping needs both ways; name the `delimiter` in it"
        )
        raise unreadable(file.name, why) from None
    width = 1 if header.is_wrapped else len(header.fields)
    record = CsvSplitter(buffer, width=width, delimiter=header.delimiter, encoding=text.encoding).next_record()
    if isinstance(record, BrokenRecord):
        raise unreadable(file.name, f"its first line, which must name the columns, has {record.reason}")
    return header


def _read_pieces(
    buffer: LineBuffer, splitter: CsvSplitter, names: Sequence[str], delimiter: str, block_bytes: int
) -> Iterator[pa.Table | CsvRecord | BrokenRecord]:
    """In the file's order. A block that is not clean is tried again in small ones: a bad row slows few others."""
    size = block_bytes
    while True:
        block, is_last = buffer.look_ahead(size or _SMALL_BLOCK_BYTES)
        if not block:
            return
        stretches = parse_block(block, names, delimiter, is_last=is_last) if size else None
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
