"""Parquet as batches of text columns, cast by the engine."""

import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from services.ingest.adapters.files.batching import BATCH_BYTES, BatchBuilder, narrow
from services.ingest.adapters.files.columns import take_columns
from services.ingest.adapters.files.data_files import DataFile
from services.ingest.adapters.files.parquet_sizes import RowSizes
from services.ingest.adapters.files.unpacking import Unpacker, unreadable
from services.ingest.domain.file_batches import FileBatch
from services.ingest.domain.file_reading import FileReading
from services.ingest.domain.mapping import TableMapping

_MOST_ROWS_AT_ONCE: Final = 1024  # what a dictionary unpacks to is known once it is unpacked
_EXACT_BELOW: Final = 1 << 53


def read_parquet(
    file: DataFile, mapping: TableMapping, reading: FileReading, unpacker: Unpacker, batch_rows: int
) -> Iterator[FileBatch]:
    """Numbers with all their digits and no exponent, times as the engine writes them, nested values as JSON, bytes that
    are not UTF-8 as `\\xNN`. What a file says of itself decides how many rows are unpacked at once; what it holds
    counts as unpacked, since a few bytes can stand for a million rows.
    """
    try:
        with unpacker.open_seekable(file) as data, pq.ParquetFile(data) as parquet:
            schema = parquet.schema_arrow
            names = take_columns(file, mapping, schema.names, reading)
            kinds = dict(zip(names, schema.types, strict=True))
            numeric = [name for name in mapping.comma_columns() & kinds.keys() if _is_number(kinds[name])]
            yield FileBatch(0, {name: pa.array([], pa.string()) for name in names})
            sizes = RowSizes(file, data, parquet, unpacker.memory_megabytes)
            for batch in _read_batches(file, parquet, sizes, names, narrow(batch_rows, len(names))):
                unpacker.take(file, batch.rows + sum(column.nbytes for column in batch.columns.values()))
                is_number = pa.repeat(pa.scalar(True), batch.rows)
                yield replace(batch, numbers=dict.fromkeys(numeric, is_number))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise unreadable(file.name, f"as Parquet: {str(error).rstrip('.')}") from None


def _read_batches(
    file: DataFile, parquet: pq.ParquetFile, sizes: RowSizes, names: list[str], batch_rows: int
) -> Iterator[FileBatch]:
    builder = BatchBuilder(file.name, names, batch_rows)
    for number in range(parquet.num_row_groups):
        rows = sizes.rows_at_once(number, BATCH_BYTES, _MOST_ROWS_AT_ONCE)
        for piece in parquet.iter_batches(batch_size=rows, row_groups=[number]):
            yield from builder.add(pa.Table.from_arrays(_to_texts(file, piece), names))
    yield builder.finish()


def _to_texts(file: DataFile, piece: pa.RecordBatch) -> list[pa.Array]:
    columns = []
    for field, column in zip(piece.schema, piece.columns, strict=True):
        try:
            columns.append(_to_text(column))
        except pa.ArrowNotImplementedError:
            why = f"its column {field.name} is of type {field.type}, which has no text; cast it in the export"
            raise unreadable(file.name, why) from None
    return columns


def _is_number(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _to_text(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _to_text(column.dictionary_decode())
    if isinstance(kind, pa.UuidType):
        return pa.array((None if value is None else str(value) for value in column.to_pylist()), pa.string())
    if isinstance(kind, pa.BaseExtensionType):
        return _to_text(column.storage)
    if pa.types.is_nested(kind):
        values = (None if value is None else json.dumps(value, default=str) for value in column.to_pylist())
        return pa.array(values, pa.string())
    if _is_number(kind):
        return _number_to_text(column)
    try:
        return pc.cast(column, pa.string())
    except pa.ArrowInvalid:  # bytes that are not UTF-8 throughout
        values = (None if value is None else value.decode(errors="backslashreplace") for value in column.to_pylist())
        return pa.array(values, pa.string())


def _number_to_text(column: pa.Array) -> pa.Array:
    """The engine writes doubles from 1e10 on with an exponent; so are ids that pandas holds beside missing ones."""
    texts = pc.cast(column, pa.string())
    if not _has_exponent(texts):
        return texts
    if pa.types.is_float64(column.type):
        is_whole = pc.and_(pc.equal(pc.floor(column), column), pc.less(pc.abs(column), float(_EXACT_BELOW)))
        whole = pc.cast(pc.if_else(is_whole, column, None), pa.int64())
        texts = pc.coalesce(pc.cast(whole, pa.string()), texts)
    if not _has_exponent(texts):
        return texts
    values = (format(Decimal(text), "f") if text and "e" in text.lower() else text for text in texts.to_pylist())
    return pa.array(values, pa.string())


def _has_exponent(texts: pa.Array) -> bool:
    return bool(pc.any(pc.match_substring(texts, "e", ignore_case=True)).as_py())
