"""Batches wait on disk until all are read, so that the warehouse is held only while they are merged."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO

import pyarrow as pa

from services.ingest.domain.batches import ARRIVAL, batch_schema
from services.ingest.domain.sources import KnownRows, Reject, SourceBatch

_REJECT_SCHEMA = pa.schema(
    [("file", pa.string()), ("line", pa.int64()), ("reason", pa.string()), ("content", pa.string())]
)


class Spool:
    """What one sync has read: Arrow streams in files without a name, so that no kill leaves them behind."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows: dict[str, _Stream] = {}
        self._rejects: dict[str, _Stream] = {}
        self.ended_scans: list[str] = []
        self.known: dict[str, KnownRows] = {}
        """By table: what an earlier sync landed and nothing has changed of, so that it was not read."""

    @property
    def rows(self) -> int:
        """Of all tables, rejects included."""
        return sum(stream.count for stream in (*self._rows.values(), *self._rejects.values()))

    def end_scan(self, table: str) -> None:
        """The table's ScanEnd: the whole of it has been read."""
        self.ended_scans.append(table)

    @property
    def tables(self) -> list[str]:
        """RAW tables that a batch has come for, also an empty one."""
        return list(self._rows)

    def add(self, batch: SourceBatch) -> int:
        """Keep the batch, its rows numbered in order of arrival. Returns the table's rows so far."""
        table = batch.table
        if table not in self._rows:
            schema = batch_schema(table).append(pa.field(ARRIVAL, pa.int64()))
            self._rows[table] = _Stream(self._folder, schema)
            self._rejects[table] = _Stream(self._folder, _REJECT_SCHEMA)
        known = self.known.get(table, KnownRows())
        self.known[table] = KnownRows(known.rows + batch.known.rows, known.rejected + batch.known.rejected)
        rows = self._rows[table]
        arrival = pa.array(range(rows.count, rows.count + batch.rows.num_rows), pa.int64())
        rows.write(batch.rows.append_column(ARRIVAL, arrival))
        if batch.rejects:
            rejects = [asdict(reject) for reject in batch.rejects]
            self._rejects[table].write(pa.Table.from_pylist(rejects, schema=_REJECT_SCHEMA))
        return rows.count + self._rejects[table].count

    def read_rows(self, table: str) -> Iterator[pa.Table]:
        """The table's batches in order of arrival; ends the writing of that table."""
        return self._rows[table].read()

    def read_rejects(self, table: str) -> Iterator[list[Reject]]:
        """The table's rejects, a batch at a time."""
        for batch in self._rejects[table].read():
            yield [Reject(**row) for row in batch.to_pylist()]

    def close(self) -> None:
        """Give the disk space back."""
        for stream in (*self._rows.values(), *self._rejects.values()):
            stream.file.close()


class _Stream:
    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self.file: IO[bytes] = tempfile.TemporaryFile(dir=folder)
        self._writer = pa.ipc.new_stream(self.file, schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))
        self.count = 0

    def write(self, rows: pa.Table) -> None:
        self._writer.write_table(rows)
        self.count += rows.num_rows

    def read(self) -> Iterator[pa.Table]:
        self._writer.close()
        self.file.seek(0)
        with pa.ipc.open_stream(self.file) as stream:
            for batch in stream:
                yield pa.Table.from_batches([batch])


@contextmanager
def open_spool(folder: Path) -> Iterator[Spool]:
    """A spool in `folder`, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    spool = Spool(folder)
    try:
        yield spool
    finally:
        spool.close()
