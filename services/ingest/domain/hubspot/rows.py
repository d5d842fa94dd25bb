"""Rows of a RAW table from Python values: text as the source wrote it."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

import pyarrow as pa

from services.ingest.domain.batches import build_batch
from services.ingest.domain.raw_schema import source_columns
from services.ingest.domain.sources import Reject

SHAPE_ERRORS: Final = (AttributeError, KeyError, TypeError, ValueError, OverflowError)
"""What reading a JSON value of another shape than the documentation's raises."""

T = TypeVar("T")


def to_text(value: Any) -> str | None:
    """A JSON value as RAW text: strings as they are, numbers and true as JSON writes them; empty text is NULL."""
    if value is None or value == "":
        return None
    return value if type(value) is str else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def to_extra(values: Mapping[str, Any]) -> str | None:
    """A JSON object of text, names sorted, without those that have no value; None where nothing is left."""
    kept = {name: text for name in sorted(values) if (text := to_text(values[name])) is not None}
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":")) if kept else None


def convert(stream: str, entries: Iterable[Any], to_row: Callable[[Any], T]) -> tuple[list[T], tuple[Reject, ...]]:
    """What each entry becomes; those of another shape than `to_row` reads are rejected with their content."""
    rows, rejects = [], []
    for entry in entries:
        try:
            rows.append(to_row(entry))
        except SHAPE_ERRORS:
            reason = "it has another shape than HubSpot's documentation says"
            rejects.append(Reject(stream, 0, reason, json.dumps(entry, ensure_ascii=False)))
    return rows, tuple(rejects)


def to_rows(
    table: str,
    rows: Sequence[Mapping[str, str | None]],
    *,
    key: Iterable[str],
    updated_at: Sequence[str | None] | None = None,
    extra: Sequence[str | None] | None = None,
    is_deleted: bool = False,
) -> pa.Table:
    """`rows` by RAW column, `key` the columns that name the record. Columns that a row lacks are null."""
    columns = {name: [row.get(name) for row in rows] for name in source_columns(table)}
    return to_columns(table, columns, key=key, updated_at=updated_at, extra=extra, is_deleted=is_deleted)


def to_columns(
    table: str,
    columns: Mapping[str, Sequence[str | None]],
    *,
    key: Iterable[str],
    updated_at: Sequence[str | None] | None = None,
    extra: Sequence[str | None] | None = None,
    is_deleted: bool = False,
) -> pa.Table:
    """As `to_rows`, of values that are lists of one length by RAW column."""
    arrays = {name: pa.array(values, pa.string()) for name, values in columns.items()}
    keys = [arrays[name] for name in key]
    return build_batch(
        table,
        arrays,
        key=keys,
        updated_at=None if updated_at is None else pa.array(updated_at, pa.string()),
        is_deleted=pa.array([is_deleted] * len(keys[0]), pa.bool_()),
        extra=None if extra is None else pa.array(extra, pa.string()),
    )
