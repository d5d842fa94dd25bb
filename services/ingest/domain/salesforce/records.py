"""Salesforce records, from JSON or CSV, as RAW rows: the same text whichever API brought them.

REST and Bulk write one value in two ways (`+0000` and `Z`, `1.0E7` and `10000000.0`). RAW takes one of them, so that
a record that comes by the other way next time has not changed.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from services.ingest.domain.batches import build_batch, to_flags, to_json_objects
from services.ingest.domain.salesforce.sobjects import Description, SObject
from services.ingest.domain.sources import Reject, Replacement, SourceBatch

_NUMBERS: Final = frozenset({"int", "long", "double", "currency", "percent"})
_PLAIN_DECIMAL: Final = pa.decimal128(38, 18)
_REJECTED_CHARACTERS: Final = 2_000
# A row must fit: Salesforce lets the long texts of one record have 1.6 million characters.
_BLOCK_BYTES: Final = 32 * 1024 * 1024
_HEADER: Final = b'"Id"'  # all values are quoted, and Id is asked for first


class MalformedCsv(ValueError):
    """A page of a Bulk result that can't be read as CSV with the asked columns."""


def read_records(description: Description, records: Sequence[Any]) -> tuple[dict[str, pa.Array], tuple[Reject, ...]]:
    """Columns by field, of the records of a REST page. What is no object with an Id is rejected."""
    good, rejects = [], []
    for record in records:
        if isinstance(record, dict) and isinstance(record.get("Id"), str):
            good.append(record)
        else:
            content = json.dumps(record, ensure_ascii=False)[:_REJECTED_CHARACTERS]
            rejects.append(Reject(description.sobject, 0, "the record has no Id", content))
    columns = {
        field: _to_text([record.get(field) for record in good], type) for field, type in description.types.items()
    }
    return columns, tuple(rejects)


def read_csv(fields: Sequence[str], types: Mapping[str, str], file: BinaryIO) -> dict[str, pa.Array]:
    """Columns by field, of a page of a Bulk result. An empty value is null, and there is no other one.

    Salesforce has no empty text, so null is what REST gives there, too. `#N/A` is how Bulk is told to clear a field
    when writing (Bulk guide, "Prepare CSV Files"); what is read is never that, so it stays text.

    Pages after the first are said to come with a header as well as without one: both are read, since the columns are in
    the order that was asked for (Bulk guide, from API version 50). An empty one has no rows.

    Raises:
        MalformedCsv: it breaks off, or has other columns.
    """
    head = file.read(len(_HEADER))
    file.seek(0)
    if not head:
        return {field: pa.array([], pa.string()) for field in fields}
    names = None if head == _HEADER else list(fields)
    try:
        table = pa_csv.read_csv(
            file,
            read_options=pa_csv.ReadOptions(column_names=names, block_size=_BLOCK_BYTES),
            parse_options=pa_csv.ParseOptions(newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(
                column_types={field: pa.string() for field in fields},
                include_columns=list(fields),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise MalformedCsv(str(error)) from error
    return {field: _to_canonical(_whole(table.column(field)), types[field]) for field in fields}


def to_source_batch(
    sobject: SObject,
    description: Description,
    columns: Mapping[str, pa.Array],
    *,
    rejects: tuple[Reject, ...] = (),
    is_scan: bool = False,
    replaces: Replacement | None = None,
) -> SourceBatch:
    """The batch as RAW takes it: what no RAW column takes is in `extra`."""
    landed = {column: columns[field] for column, field in description.columns(sobject).items()}
    left = set(columns) - set(description.columns(sobject).values()) - {"IsDeleted"}
    rows = build_batch(
        sobject.table,
        landed,
        key=[columns["Id"]],
        updated_at=columns[description.cursor],
        is_deleted=to_flags(columns["IsDeleted"]) if description.has_is_deleted else None,
        extra=to_json_objects({field: columns[field] for field in left}),
    )
    return SourceBatch(sobject.table, rows, rejects, fields=dict(description.types), is_scan=is_scan, replaces=replaces)


def _to_text(values: list[Any], type: str) -> pa.Array:
    """Values of one JSON field as text."""
    if type in _NUMBERS:
        try:
            return _plain_numbers(pa.array(values, pa.float64()))
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            return pa.array([_any_text(value) for value in values], pa.string())
    if type == "boolean" and all(value is None or isinstance(value, bool) for value in values):
        return pc.cast(pa.array(values, pa.bool_()), pa.string())
    if any(value is not None and not isinstance(value, str) for value in values):
        values = [_any_text(value) for value in values]
    return _to_canonical(pa.array([value or None for value in values], pa.string()), type)


def _any_text(value: Any) -> str | None:
    """A value that isn't what the field's type says: its type changed since it was described."""
    if value is None or isinstance(value, str):
        return value or None
    return json.dumps(value, ensure_ascii=False)


def _to_canonical(texts: pa.Array, type: str) -> pa.Array:
    if type in _NUMBERS:
        try:
            return _plain_numbers(pc.cast(texts, pa.float64()))
        except pa.ArrowInvalid:
            return texts
    return pc.replace_substring_regex(texts, r"Z$", "+0000") if type == "datetime" else texts


def _plain_numbers(numbers: pa.Array) -> pa.Array:
    """Shortest text that is the number, without an exponent. Salesforce's numbers are doubles of up to 18 digits."""
    texts = pc.cast(numbers, pa.string())
    long = pc.fill_null(pc.match_substring(texts, "e"), False)
    if not pc.any(long).as_py():
        return texts
    try:
        decimals = pc.cast(pc.cast(pc.filter(numbers, long), _PLAIN_DECIMAL), pa.string())
    except pa.ArrowInvalid:  # beyond 20 digits before the point
        return texts
    plain = pc.utf8_rtrim(pc.utf8_rtrim(decimals, "0"), ".")
    return pc.replace_with_mask(texts, long, plain)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    return combined if isinstance(combined, pa.Array) else pa.concat_arrays(combined.chunks)
