"""Applying a mapping to a batch of a file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from services.ingest.domain.batches import build_batch, empty_to_null, to_flags, to_json_objects
from services.ingest.domain.mapping import TableMapping
from services.ingest.domain.sources import Reject, SourceBatch

# Signs and codes around one number whose dots or spaces group thousands and whose comma, if any, is the decimal one.
_COMMA_NUMBER: Final = (
    r"^[^0-9.,]*([1-9][0-9]{0,2}(\.[0-9]{3})+|[1-9][0-9]{0,2}([ '’\x{00A0}\x{202F}][0-9]{3})+|[0-9]+)"
    r"(,[0-9]+)?[^0-9.,]*$"
)


class Number(str):
    """Text of a value that its file holds as a number: a decimal comma can't be meant by its point."""

    __slots__ = ()


@dataclass(frozen=True)
class FileBatch:
    """A piece of a file: text columns as they came, by the mapping's names, and the rows that could not be split."""

    rows: int
    columns: Mapping[str, pa.Array]
    rejects: tuple[Reject, ...] = ()
    numbers: Mapping[str, pa.Array] = field(default_factory=dict)
    """Of columns with a decimal comma: which values the file holds as numbers. Not there: none."""


def to_source_batch(table: str, mapping: TableMapping, batch: FileBatch) -> SourceBatch:
    """The batch as RAW takes it. Empty text is NULL; nothing else is changed but decimal commas that the mapping names.

    The columns that only say when a record changed or that it is deleted stay in `extra` as well, since their text may
    be unreadable as a time or a flag; so does the text of a number that was rewritten.
    """
    present = {name: empty_to_null(column) for name, column in batch.columns.items()}
    nothing = pa.nulls(batch.rows, pa.string())
    extra = dict(present)
    pointed: dict[str, pa.Array] = {}
    for name in mapping.comma_columns() & present.keys():
        pointed[name] = to_decimal_point(present[name], batch.numbers.get(name))
        extra[name] = pc.if_else(pc.equal(pointed[name], present[name]), None, present[name])
    for one in mapping.columns.values():
        if one.column not in pointed:
            extra.pop(one.column, None)
    landed = {
        raw: (pointed if one.decimal == "comma" else present).get(one.column, nothing)
        for raw, one in mapping.columns.items()
    }
    updated_at = present.get(mapping.updated_at.column) if mapping.updated_at else None
    deleted = present.get(mapping.deleted.column) if mapping.deleted else None
    rows = build_batch(
        table,
        landed,
        key=[present.get(name, nothing) for name in mapping.key],
        updated_at=updated_at,
        is_deleted=None if deleted is None else to_flags(deleted),
        extra=to_json_objects(extra),
    )
    return SourceBatch(table, rows, batch.rejects)


def to_decimal_point(column: pa.Array, is_number: pa.Array | None) -> pa.Array:
    """`12.500,00 €` -> `12500.00 €`. Text that is no such number, and what the file holds as a number, stays."""
    is_comma = pc.fill_null(pc.match_substring_regex(column, _COMMA_NUMBER), False)
    if is_number is not None:
        is_comma = pc.and_not(is_comma, is_number)
    ungrouped = pc.replace_substring_regex(column, r"([0-9])[.'’\x{00A0}\x{202F} ]([0-9])", r"\1\2")
    return pc.if_else(is_comma, pc.replace_substring(ungrouped, ",", "."), column)
