"""Cutting what readers find into batches of bounded size, in the file's order."""

from collections.abc import Iterator, Sequence
from typing import Final

import pyarrow as pa

from services.ingest.domain.csv_records import BrokenRecord, CsvRecord
from services.ingest.domain.file_batches import FileBatch
from services.ingest.domain.sources import Reject

BATCH_BYTES: Final = 64 << 20  # of text: Arrow counts the bytes of a column in 31 bits
_BATCH_CELLS: Final = 2_000_000  # exports with hundreds of columns exist; 50,000 of their rows would be a gigabyte


def narrow(batch_rows: int, columns: int) -> int:
    """Rows of a batch of so many columns."""
    return max(1, min(batch_rows, _BATCH_CELLS // max(columns, 1)))


class BatchBuilder:
    """Rows and rejects of one file until a batch is full."""

    def __init__(self, file: str, names: Sequence[str], batch_rows: int) -> None:
        self._file = file
        self._names = list(names)
        self._batch_rows = batch_rows
        self._tables: list[pa.Table] = []
        self._records: list[list[str]] = []
        self._rejects: list[Reject] = []
        self._rows = 0
        self._size = 0  # of texts, about

    def add(self, piece: pa.Table | CsvRecord | BrokenRecord) -> Iterator[FileBatch]:
        """The batches that are full with it."""
        if isinstance(piece, CsvRecord):
            self._records.append(piece.fields)
            self._rows += 1
            self._size += sum(map(len, piece.fields))
        elif isinstance(piece, BrokenRecord):
            self._rejects.append(Reject(self._file, piece.line, piece.reason, piece.content))
            self._size += len(piece.content)
        else:
            yield from self._add_table(piece)
        if self._rows + len(self._rejects) >= self._batch_rows or self._size >= BATCH_BYTES:
            yield self.finish()

    def finish(self) -> FileBatch:
        """What there is, which may be nothing."""
        self._close_records()
        batch = FileBatch(self._rows, self._join(), tuple(self._rejects))
        self._tables, self._rejects, self._rows, self._size = [], [], 0, 0
        return batch

    def _add_table(self, table: pa.Table) -> Iterator[FileBatch]:
        self._close_records()
        offset = 0
        while offset < table.num_rows:
            room = self._batch_rows - self._rows - len(self._rejects)
            taken = table.slice(offset, room)
            self._tables.append(taken)
            self._rows += taken.num_rows
            offset += taken.num_rows
            if offset < table.num_rows:
                yield self.finish()
        self._size += table.nbytes

    def _close_records(self) -> None:
        if self._records:
            columns = [pa.array(values, pa.string()) for values in zip(*self._records, strict=True)]
            self._tables.append(pa.Table.from_arrays(columns, self._names))
            self._records = []

    def _join(self) -> dict[str, pa.Array]:
        if not self._tables:
            return {name: pa.array([], pa.string()) for name in self._names}
        joined = pa.concat_tables(self._tables)
        return {name: pa.concat_arrays(joined.column(name).chunks) for name in self._names}
