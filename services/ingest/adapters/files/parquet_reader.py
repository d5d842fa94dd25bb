"""Parquet as batches of text columns, cast by the engine."""

import json
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from services.ingest.adapters.files.batching import narrow
from services.ingest.adapters.files.columns import take_columns
from services.ingest.adapters.files.data_files import DataFile
from services.ingest.adapters.files.unpacking import Unpacker, unreadable
from services.ingest.domain.file_batches import FileBatch
from services.ingest.domain.file_reading import FileReading
from services.ingest.domain.mapping import TableMapping


def read_parquet(
    file: DataFile, mapping: TableMapping, reading: FileReading, unpacker: Unpacker, batch_rows: int
) -> Iterator[FileBatch]:
    """Numbers and times as the engine writes them, nested values as JSON, bytes that are not UTF-8 as `\\xNN`."""
    try:
        with unpacker.open_seekable(file) as data, pq.ParquetFile(data) as parquet:
            schema = parquet.schema_arrow
            names = take_columns(file, mapping, schema.names, reading)
            is_text = [pa.types.is_string(kind) or pa.types.is_large_string(kind) for kind in schema.types]
            numeric = {name for name, one in zip(names, is_text, strict=True) if not one} & mapping.comma_columns()
            yield FileBatch(0, {name: pa.array([], pa.string()) for name in names})
            for batch in parquet.iter_batches(batch_size=narrow(batch_rows, len(names))):
                columns = dict(zip(names, map(_to_text, batch.columns), strict=True))
                is_number = pa.repeat(pa.scalar(True), batch.num_rows)
                yield FileBatch(batch.num_rows, columns, numbers=dict.fromkeys(numeric, is_number))
    except pa.ArrowInvalid as error:
        raise unreadable(file.name, f"as Parquet: {str(error).rstrip('.')}") from None


def _to_text(column: pa.Array) -> pa.Array:
    if pa.types.is_nested(column.type):
        values = (None if value is None else json.dumps(value, default=str) for value in column.to_pylist())
        return pa.array(values, pa.string())
    if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        return pc.cast(column, pa.string())
    try:
        return pc.cast(column, pa.string())
    except pa.ArrowInvalid:  # not UTF-8 throughout
        values = (None if value is None else value.decode(errors="backslashreplace") for value in column.to_pylist())
        return pa.array(values, pa.string())
