"""One file at a time as batches of text columns, in bounded memory. Nothing is cast, trimmed or guessed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from services.ingest.domain.csv_records import BrokenRecord, split_csv
from services.ingest.domain.mapping import FileBatch
from services.ingest.domain.sources import Reject
from shared.errors import TerminalError

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_BATCH_CELLS: Final = 2_000_000  # exports with hundreds of columns exist; 50,000 of their rows would be a gigabyte
_BATCH_BYTES: Final = 64 * 1024 * 1024


def read_file(path: Path, batch_rows: int) -> Iterator[FileBatch]:
    """Batches of a .csv, .jsonl or .parquet file; at least one, so that its columns are known.

    Raises:
        TerminalError: `file-unreadable`, when it can't be opened or not a single row can be told from the next.
    """
    readers = {".csv": _read_csv, ".jsonl": _read_jsonl, ".parquet": _read_parquet}
    try:
        yield from readers[path.suffix.lower()](path, batch_rows)
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from None


def _read_csv(path: Path, batch_rows: int) -> Iterator[FileBatch]:
    with path.open("rb") as file:
        records = split_csv(file)
        header = next(records, None)
        if header is None:
            raise _unreadable(path, "it is empty; the first line must name the columns")
        if isinstance(header, BrokenRecord):
            raise _unreadable(path, f"its first line, which must name the columns, has {header.reason}")
        if len(set(header.fields)) < len(header.fields):
            twice = sorted({name for name in header.fields if header.fields.count(name) > 1})
            raise _unreadable(path, f"its header names {', '.join(twice)} twice; rename one")
        batch_rows = _narrow(batch_rows, len(header.fields))
        rows: list[list[str]] = []
        rejects: list[Reject] = []
        for record in records:
            if isinstance(record, BrokenRecord):
                rejects.append(Reject(path.name, record.line, record.reason, record.content))
            else:
                rows.append(record.fields)
            if len(rows) + len(rejects) >= batch_rows:
                yield _to_batch(header.fields, rows, rejects)
                rows, rejects = [], []
        yield _to_batch(header.fields, rows, rejects)


def _narrow(batch_rows: int, columns: int) -> int:
    return max(1, min(batch_rows, _BATCH_CELLS // max(columns, 1)))


def _to_batch(header: list[str], rows: list[list[str]], rejects: list[Reject]) -> FileBatch:
    values = zip(*rows) if rows else ((),) * len(header)
    columns = {name: pa.array(column, pa.string()) for name, column in zip(header, values, strict=True)}
    return FileBatch(len(rows), columns, tuple(rejects))


def _read_jsonl(path: Path, batch_rows: int) -> Iterator[FileBatch]:
    rows: list[dict[str, str | None]] = []
    rejects: list[Reject] = []
    size = 0
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            line = raw.removeprefix(_BYTE_ORDER_MARK) if number == 1 else raw
            if not line.strip():
                continue
            try:
                rows.append(_parse_json_line(line))
            except (ValueError, RecursionError) as error:
                content = line.decode(errors="backslashreplace").rstrip("\r\n")
                rejects.append(Reject(path.name, number, _explain(error), content))
            size += len(line)
            if len(rows) + len(rejects) >= batch_rows or size > _BATCH_BYTES:
                yield _to_union_batch(rows, rejects)
                rows, rejects, size = [], [], 0
    yield _to_union_batch(rows, rejects)


def _parse_json_line(line: bytes) -> dict[str, str | None]:
    """An object's values as text: numbers with the digits that the file has, nested values as JSON."""
    text = line.decode()
    row = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    if not isinstance(row, dict):
        raise ValueError("the line is JSON, but not an object")
    if "\\u" in text:
        json.dumps(row, ensure_ascii=False).encode()  # half a surrogate pair is no text: UnicodeEncodeError
    nested = [name for name, value in row.items() if isinstance(value, dict | list)]
    if nested:
        typed = json.loads(text)
        row.update({name: json.dumps(typed[name], ensure_ascii=False) for name in nested})
    return {name: _to_text(value) for name, value in row.items()}


def _to_text(value: Any) -> str | None:
    return ("true" if value else "false") if isinstance(value, bool) else value


def _to_union_batch(rows: list[dict[str, str | None]], rejects: list[Reject]) -> FileBatch:
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: pa.array([row.get(name) for row in rows], pa.string()) for name in names}
    return FileBatch(len(rows), columns, tuple(rejects))


def _explain(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error.msg} at character {error.pos + 1}"
    if isinstance(error, UnicodeError):
        return "bytes that are not UTF-8: export the file as UTF-8"
    return "not JSON: nested too deeply" if isinstance(error, RecursionError) else str(error)


def _read_parquet(path: Path, batch_rows: int) -> Iterator[FileBatch]:
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            yield FileBatch(0, {name: pa.array([], pa.string()) for name in names})
            for batch in file.iter_batches(batch_size=_narrow(batch_rows, len(names))):
                columns = {name: _column_to_text(batch.column(name)) for name in names}
                yield FileBatch(batch.num_rows, columns)
    except pa.ArrowInvalid as error:
        raise _unreadable(path, f"as Parquet: {str(error).rstrip('.')}") from None


def _column_to_text(column: pa.Array) -> pa.Array:
    if pa.types.is_nested(column.type):
        values = (None if value is None else json.dumps(value, default=str) for value in column.to_pylist())
        return pa.array(values, pa.string())
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        values = (None if value is None else value.decode(errors="backslashreplace") for value in column.to_pylist())
        return pa.array(values, pa.string())
    return pc.cast(column, pa.string())


def _unreadable(path: Path, why: str) -> TerminalError:
    return TerminalError(
        f"{path.name} can't be read: {why}.", code="file-unreadable", title="A file can't be read", status=422
    )
