"""A source's fields against those that it had before: what changed, and what the sync's policy makes of it."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from services.ingest.domain.batches import RECORD_KEY
from services.ingest.domain.raw_schema import source_columns
from services.ingest.domain.sources import Reject, SourceBatch
from shared.errors import TerminalError

Fields: TypeAlias = Mapping[str, str | None]
Policy: TypeAlias = Literal["evolve", "freeze", "quarantine"]

_WORD_BORDER: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NAMED_AT_MOST: Final = 5


@dataclass(frozen=True, order=True)
class SchemaChange:
    """One field of the source that is not as it was. Types are the source's own words, None where it has none."""

    table: str
    field: str
    change: Literal["added", "removed", "retyped"]
    old_type: str | None = None
    new_type: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON for the job's result."""
        return asdict(self)

    def __str__(self) -> str:
        types = f" from {self.old_type} to {self.new_type}" if self.change == "retyped" else ""
        return f"{self.field} of {self.table} {self.change}{types}"


class SchemaChanged(TerminalError):
    """Policy freeze met changes: they are still to be recorded."""

    def __init__(self, changes: Sequence[SchemaChange]) -> None:
        named = "; ".join(map(str, changes[:_NAMED_AT_MOST]))
        more = f" and {len(changes) - _NAMED_AT_MOST} more" if len(changes) > _NAMED_AT_MOST else ""
        super().__init__(
            f"The source's fields changed and on_schema_change is freeze: {named}{more}. Nothing of this segment was "
            "landed. Undo the change in the source, or accept it by one sync with on_schema_change=evolve.",
            code="schema-changed",
            title="The source's schema changed",
            status=409,
            changes=[one.to_dict() for one in changes],
        )
        self.changes = tuple(changes)


def compare_fields(table: str, known: Fields, seen: Fields) -> list[SchemaChange]:
    """By field. A type that one side doesn't tell is no change."""
    changes = [SchemaChange(table, name, "added", None, seen[name]) for name in seen if name not in known]
    changes += [SchemaChange(table, name, "removed", known[name], None) for name in known if name not in seen]
    for name in seen.keys() & known.keys():
        old, new = known[name], seen[name]
        if old is not None and new is not None and old != new:
            changes.append(SchemaChange(table, name, "retyped", old, new))
    return sorted(changes, key=lambda one: (one.field, one.change))


@dataclass
class SchemaWatch:
    """Looks at each batch's fields on its way to RAW. What it finds is taken with the segment that it was found in.

    A table that was never seen before is learnt and reports nothing.
    """

    policy: Policy
    known: dict[str, Fields]
    _unknown: dict[str, set[str]] = field(default_factory=dict)
    _changes: list[SchemaChange] = field(default_factory=list)
    _learnt: dict[str, Fields] = field(default_factory=dict)

    def look_at(self, batch: SourceBatch) -> SourceBatch:
        """The batch as it may land.

        Raises:
            SchemaChanged: the policy is freeze and the fields changed.
        """
        table = batch.table
        if batch.fields:
            self._compare(table, batch.fields)
        unknown = self._unknown.get(table)
        return hold_back(batch, sorted(unknown)) if unknown else batch

    def take(self) -> tuple[list[SchemaChange], dict[str, Fields]]:
        """The changes since the last call, and the fields by table to be remembered once the segment has landed."""
        taken = self._changes, self._learnt
        self._changes, self._learnt = [], {}
        return taken

    def _compare(self, table: str, seen: Fields) -> None:
        unknown = self._unknown.setdefault(table, set())
        known = self.known.get(table)
        accepted = {name: kind for name, kind in seen.items() if name not in unknown}
        if known == accepted:
            return
        changes = [] if known is None else compare_fields(table, known, accepted)
        if changes and self.policy == "freeze":
            raise SchemaChanged(changes)
        self._changes += changes
        if self.policy == "quarantine":
            unknown |= {one.field for one in changes if one.change == "added"}
            accepted = {name: kind for name, kind in accepted.items() if name not in unknown}
        self.known[table] = self._learnt[table] = accepted


def hold_back(batch: SourceBatch, fields: Sequence[str]) -> SourceBatch:
    """The batch without the rows that fill one of these fields: they become rejects that name it."""
    places = {name: _column_of(batch.table, name) for name in fields}
    is_candidate = np.zeros(batch.rows.num_rows, dtype=bool)
    for name, column in places.items():
        values = batch.rows.column(column or "extra").combine_chunks()
        # The JSON text may hold the name as a value: who only looks like a hit is read below.
        is_hit = pc.is_valid(values) if column else pc.match_substring(values, json.dumps(name, ensure_ascii=False))
        is_candidate |= pc.fill_null(is_hit, False).to_numpy(zero_copy_only=False)
    found = np.flatnonzero(is_candidate)
    candidates = batch.rows.take(pa.array(found)).to_pylist()
    filled = [[name for name, column in places.items() if _value(row, name, column) is not None] for row in candidates]
    held = [(row, names) for row, names in zip(candidates, filled, strict=True) if names]
    if not held:
        return batch
    is_kept = np.ones(batch.rows.num_rows, dtype=bool)
    is_kept[found[[bool(names) for names in filled]]] = False
    rejects = (_to_reject(batch.table, row, names) for row, names in held)
    keys = (row[RECORD_KEY] for row, _ in held if row[RECORD_KEY] is not None)
    return replace(
        batch,
        rows=batch.rows.filter(pa.array(is_kept)),
        rejects=(*batch.rejects, *rejects),
        held_back=(*batch.held_back, *keys),
    )


def _column_of(table: str, name: str) -> str | None:
    """The RAW column that a field lands in; None: it is kept in `extra` under its own name."""
    snake = _WORD_BORDER.sub("_", name).lower()
    columns = source_columns(table)
    return next((one for one in (name, snake, snake.removesuffix("__c")) if one in columns), None)


def _value(row: Mapping[str, Any], name: str, column: str | None) -> Any:
    return row[column] if column else json.loads(row["extra"] or "{}").get(name)


def _to_reject(table: str, row: Mapping[str, Any], names: Sequence[str]) -> Reject:
    filled = {name: value for name, value in row.items() if value is not None}
    reason = (
        f"fills the new field {', '.join(names)}, and on_schema_change is quarantine: accept the field by a sync with "
        "on_schema_change=evolve and mode=full"
    )
    return Reject(table, 0, reason, json.dumps(filled, ensure_ascii=False, default=str))
