"""How many rows of a Parquet file may be unpacked at once: a value that is stored once can stand in every row."""

from collections.abc import Iterator
from functools import cached_property
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from services.ingest.adapters.files.data_files import DataFile
from services.ingest.adapters.files.unpacking import unreadable

_DICTIONARIES: Final = frozenset({"PLAIN_DICTIONARY", "RLE_DICTIONARY"})
_PREFIXES: Final = "DELTA_BYTE_ARRAY"  # each value is the one before, from its n-th byte on changed
_CELL_BYTES: Final = 8
_LONG_VALUE: Final = 64 << 10


class RowSizes:
    """Of one file, by its metadata and by the longest value of each dictionary."""

    def __init__(self, file: DataFile, data: IO[bytes], parquet: pq.ParquetFile, most_megabytes: int) -> None:
        """`most_megabytes`: what a column of a row group may unpack to: its pages are held in memory.

        Raises:
            TerminalError: `file-unreadable`, for a column that says it has more.
        """
        self._file = file
        self._data = data
        self._metadata = parquet.metadata
        self._most_bytes = most_megabytes << 20
        for number in range(self._metadata.num_row_groups):
            for chunk in self._chunks(number):
                if max(chunk.total_uncompressed_size, chunk.num_values) > self._most_bytes:
                    raise self._too_large(chunk.path_in_schema)

    def rows_at_once(self, number: int, most_bytes: int, most_rows: int) -> int:
        """At least one, of the row group of this number.

        Raises:
            TerminalError: `file-unreadable`, where a single row may not fit into memory.
        """
        group = self._metadata.row_group(number)
        rows = max(group.num_rows, 1)
        widest = group.total_byte_size // rows + sum(self._longest_values(number))
        for chunk in self._chunks(number):
            widest += chunk.num_values // rows * _CELL_BYTES  # a list's items may take no byte each
            if chunk.physical_type == "BYTE_ARRAY" and _PREFIXES in chunk.encodings:
                widest += chunk.total_uncompressed_size
        return int(max(1, min(most_rows, most_bytes // max(widest, 1))))

    def _chunks(self, number: int) -> Iterator[Any]:
        group = self._metadata.row_group(number)
        return (group.column(place) for place in range(group.num_columns))

    def _longest_values(self, number: int) -> Iterator[int]:
        """Of each dictionary, with which a chunk's first row comes; times the items of a row where it has several."""
        for chunk in self._chunks(number):
            if not _has_dictionary(chunk):
                continue
            name, rows = chunk.path_in_schema, max(self._metadata.row_group(number).num_rows, 1)
            first = next(self._first_look.iter_batches(batch_size=1, row_groups=[number], columns=[name]), None)
            columns = () if first is None else first.columns
            longest = max((_longest(words) for column in columns for words in _dictionaries(column)), default=0)
            if chunk.num_values > rows and longest > _LONG_VALUE and longest * chunk.num_values > self._most_bytes:
                raise self._too_large(name)
            yield longest * max(1, chunk.num_values // rows)

    @cached_property
    def _first_look(self) -> pq.ParquetFile:
        """Of its own, since which columns come as dictionaries is said once a file."""
        names = {
            chunk.path_in_schema
            for number in range(self._metadata.num_row_groups)
            for chunk in self._chunks(number)
            if _has_dictionary(chunk)
        }
        return pq.ParquetFile(self._data, metadata=self._metadata, read_dictionary=sorted(names))

    def _too_large(self, name: str) -> Exception:
        why = (
            f"as Parquet: its column {name} unpacks to more than {self._most_bytes >> 20} MB in one row group. Export "
            "it with smaller row groups; a check has room for less than a sync"
        )
        return unreadable(self._file.name, why)


def _has_dictionary(chunk: Any) -> bool:
    return chunk.physical_type == "BYTE_ARRAY" and not _DICTIONARIES.isdisjoint(chunk.encodings)


def _dictionaries(column: pa.Array) -> Iterator[pa.Array]:
    if pa.types.is_dictionary(column.type):
        yield column.dictionary
    elif pa.types.is_struct(column.type):
        for part in column.flatten():
            yield from _dictionaries(part)
    elif pa.types.is_nested(column.type):
        yield from _dictionaries(column.values)


def _longest(words: pa.Array) -> int:
    return int(pc.max(pc.binary_length(words)).as_py() or 0) if len(words) else 0
