"""Batches wait on disk as Parquet until they are landed: the engines' bulk loaders take the files as they are."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from services.ingest.domain.batches import ARRIVAL, RECORD_KEY, UPDATED_AT, batch_schema
from services.ingest.domain.sources import KnownRows, Reject, SourceBatch

IS_SCAN: Final = "is_scan"
_REJECT_SCHEMA = pa.schema(
    [
        ("reject_id", pa.string()),
        ("file", pa.string()),
        ("line", pa.int64()),
        ("reason", pa.string()),
        ("content", pa.string()),
    ]
)
_REPLACED_SCHEMA = pa.schema([("field", pa.string()), ("text", pa.string()), (ARRIVAL, pa.int64())])
_HELD_SCHEMA = pa.schema([(RECORD_KEY, pa.string()), (IS_SCAN, pa.bool_())])
_REJECT_CHARACTERS: Final = 10_000
_BYTES_OF_A_FILE: Final = 150_000_000  # Snowflake copies a file with one thread, and advises 100 to 250 MB
_ROWS_OF_A_GROUP: Final = 50_000  # smaller batches, such as pages of a CRM, are written together
_LOCK = ".lock"


class Spool:
    """What was read and has not landed: for each RAW table a file of rows, one of rejects, one of what it
    replaces, one of keys that were held back."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows: dict[str, _ParquetFile] = {}
        self._rejects: dict[str, _ParquetFile] = {}
        self._replaced: dict[str, _ParquetFile] = {}
        self._held: dict[str, _ParquetFile] = {}
        self.replaced_columns: dict[str, set[str]] = {}
        """By table: RAW columns by which batches replace."""
        self.scanned: set[str] = set()
        """Tables of which a batch is part of a whole reading."""
        self.ended_scans: list[str] = []
        self.known: dict[str, KnownRows] = {}
        """By table: what an earlier sync landed and nothing has changed of, so that it was not read."""

    @property
    def rows(self) -> int:
        """Of all tables, rejects included."""
        return sum(file.count for file in (*self._rows.values(), *self._rejects.values()))

    @property
    def tables(self) -> list[str]:
        """RAW tables that a batch has come for, also an empty one."""
        return list(self._rows)

    def end_scan(self, table: str) -> None:
        """The table's ScanEnd: the whole of it has been read."""
        if table not in self.ended_scans:
            self.ended_scans.append(table)

    def add(self, batch: SourceBatch) -> int:
        """Keep the batch, its rows numbered in order of arrival. Returns the table's rows so far."""
        table, count = batch.table, batch.rows.num_rows
        rows, rejects = self._files_of(table)
        known = self.known[table]
        self.known[table] = KnownRows(known.rows + batch.known.rows, known.rejected + batch.known.rejected)
        if batch.replaces is not None:
            self._replace(table, batch.replaces.column, batch.replaces.values, rows.count)
        if batch.is_scan:
            self.scanned.add(table)
        arrival = pa.array(np.arange(rows.count, rows.count + count))
        if batch.held_back:
            self._hold(table, batch.held_back, batch.is_scan)
        is_scan = pa.array(np.full(count, batch.is_scan))
        rows.write(batch.rows.append_column(ARRIVAL, arrival).append_column(IS_SCAN, is_scan))
        if batch.rejects:
            found = [_to_reject_row(table, reject) for reject in batch.rejects]
            rejects.write(pa.Table.from_pylist(found, schema=_REJECT_SCHEMA))
        return rows.count + rejects.count

    def read_rows(self, table: str) -> "SpooledRows":
        """The table's rows; nothing more can be added to the table."""
        return _finish(self._rows.get(table))

    def read_rejects(self, table: str) -> "SpooledRows":
        """The table's rejects: `reject_id, file, line, reason, content`."""
        return _finish(self._rejects.get(table))

    def read_replaced(self, table: str) -> "SpooledRows":
        """What the table's batches replace: `field, text, arrival`, the number of the batch's first row."""
        return _finish(self._replaced.get(table))

    def read_held(self, table: str) -> "SpooledRows":
        """Keys of the table's records that came and were held back: `record_key, is_scan`."""
        return _finish(self._held.get(table))

    def _files_of(self, table: str) -> "tuple[_ParquetFile, _ParquetFile]":
        if table not in self._rows:
            schema = batch_schema(table).append(pa.field(ARRIVAL, pa.int64())).append(pa.field(IS_SCAN, pa.bool_()))
            self._rows[table] = _ParquetFile(self._folder / f"{table}.parquet", schema)
            self._rejects[table] = _ParquetFile(self._folder / f"{table}.rejects.parquet", _REJECT_SCHEMA)
            self.known[table] = KnownRows()
        return self._rows[table], self._rejects[table]

    def _replace(self, table: str, column: str, values: Sequence[str], arrival: int) -> None:
        if table not in self._replaced:
            self._replaced[table] = _ParquetFile(self._folder / f"{table}.replaced.parquet", _REPLACED_SCHEMA)
        self.replaced_columns.setdefault(table, set()).add(column)
        repeated = [pa.array([one] * len(values), kind) for one, kind in ((column, pa.string()), (arrival, pa.int64()))]
        texts = pa.array(values, pa.string())
        self._replaced[table].write(pa.Table.from_arrays([repeated[0], texts, repeated[1]], schema=_REPLACED_SCHEMA))

    def _hold(self, table: str, keys: Sequence[str], is_scan: bool) -> None:
        if table not in self._held:
            self._held[table] = _ParquetFile(self._folder / f"{table}.held.parquet", _HELD_SCHEMA)
        self._held[table].write(
            pa.table({RECORD_KEY: pa.array(keys, pa.string()), IS_SCAN: pa.array([is_scan] * len(keys), pa.bool_())})
        )

    def close(self) -> None:
        """No more is written."""
        for files in (self._rows, self._rejects, self._replaced, self._held):
            for file in files.values():
                file.finish()


class SpooledRows:
    """A number of rows and the files that hold them: none where there are no rows."""

    def __init__(self, count: int, files: Sequence[Path]) -> None:
        self.count = count
        self.files = files if count else ()


class _ParquetFile:
    """Written a row group at a time, on into another file where one has grown large; holds at most one group and one
    batch in memory."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.paths: list[Path] = []
        self.count = 0
        self._path = path
        self._schema = schema
        self._waiting: list[pa.Table] = []
        self._waiting_rows = 0
        self._writer: pq.ParquetWriter | None = None

    def write(self, rows: pa.Table) -> None:
        self.count += rows.num_rows
        self._waiting_rows += rows.num_rows
        self._waiting.append(rows)
        if self._waiting_rows >= _ROWS_OF_A_GROUP:
            self._flush()

    def finish(self) -> None:
        if self._waiting_rows:
            self._flush()
        self._close()

    def _flush(self) -> None:
        if self._writer is None:
            unique = (RECORD_KEY, UPDATED_AT, ARRIVAL, "id", "reject_id", "content")
            repeating = [name for name in self._schema.names if name not in unique]
            self.paths.append(self._path.with_suffix(f".{len(self.paths)}.parquet"))
            self._writer = pq.ParquetWriter(
                self.paths[-1], self._schema, compression="snappy", use_dictionary=repeating
            )
        self._writer.write_table(pa.concat_tables(self._waiting), row_group_size=2 * _ROWS_OF_A_GROUP)
        self._waiting, self._waiting_rows = [], 0
        if self.paths[-1].stat().st_size >= _BYTES_OF_A_FILE:
            self._close()

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _finish(file: _ParquetFile | None) -> SpooledRows:
    if file is None:
        return SpooledRows(0, ())
    file.finish()
    return SpooledRows(file.count, file.paths)


def _to_reject_row(table: str, reject: Reject) -> dict[str, Any]:
    identity = "\0".join((table, reject.file, str(reject.line), reject.content))
    content = reject.content
    if len(content) > _REJECT_CHARACTERS:
        content = f"{content[:_REJECT_CHARACTERS]}... ({len(content) - _REJECT_CHARACTERS} more characters in the file)"
    return {
        "reject_id": hashlib.md5(identity.encode(), usedforsecurity=False).hexdigest(),
        "file": reject.file,
        "line": reject.line,
        "reason": reject.reason,
        "content": content,
    }


@contextmanager
def open_spool(folder: Path) -> Iterator[Spool]:
    """A spool in `folder`, which is made where it is missing. What killed processes left there is removed.

    A spool is alive while its process holds the lock on it, which ends with the process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / _LOCK):
        _remove_abandoned(folder)
        own = Path(tempfile.mkdtemp(prefix="segment-", dir=folder))
        lock = FileLock(own / _LOCK, thread_local=False)  # another thread may be the one that closes it
        lock.acquire()
    spool = Spool(own)
    try:
        yield spool
    finally:
        spool.close()
        shutil.rmtree(own)
        lock.release()


def _remove_abandoned(folder: Path) -> None:
    for left in folder.glob("segment-*"):
        try:
            with FileLock(left / _LOCK, timeout=0):
                shutil.rmtree(left)
        except (Timeout, FileNotFoundError):
            continue  # somebody's, or gone in the meantime
