"""What each load read and changed, in `raw.loads`: the memory that the guards against shrunken sources rest on."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import sqlalchemy as sa

from services.ingest.adapters.raw_tables import load_segments, loads
from services.ingest.adapters.scans import KEPT
from services.ingest.domain.loads import LandedCounts, Load
from services.ingest.domain.raw_schema import source_system

WHOLE_LOAD: Final = "all"
"""The segment of a source without checkpoints."""


def record_load(
    connection: sa.Connection,
    load: Load,
    landed: Mapping[str, LandedCounts],
    *,
    segment: str = WHOLE_LOAD,
    scanned: Collection[str] = (),
) -> None:
    """One row per RAW table that was read, its segments added up; the caller commits it together with the rows.

    A segment that is tried again after it had landed finds its rows unchanged: the counts of the first try stay. Where
    the source differs meanwhile, those of the last try that changed something count.

    Args:
        segment: A complete load has one: each attempt at it reads everything, wherever the one before had got to.
        scanned: Tables whose whole reading ends here, so that the load is complete for them.
    """
    segment = WHOLE_LOAD if load.is_complete else segment
    connection.execute(sa.delete(load_segments).where(load_segments.c.loaded_at < load.loaded_at - KEPT))
    fresh = _new_segments(connection, load, landed, segment)
    if fresh:
        of_segment = _of(load_segments, load, fresh) & (load_segments.c.segment == segment)
        connection.execute(sa.delete(load_segments).where(of_segment))
        connection.execute(
            sa.insert(load_segments),
            [
                {"load_id": load.load_id, "source_table": table, "segment": segment}
                | {**landed[table].to_dict(), "loaded_at": load.loaded_at}
                for table in fresh
            ],
        )
    changed = sorted({*fresh, *scanned} & landed.keys())
    if changed:
        _add_up(connection, load, changed, scanned)


def _new_segments(connection: sa.Connection, load: Load, landed: Mapping[str, LandedCounts], segment: str) -> list[str]:
    """Tables whose counts of this segment are new: not those of a segment that had landed and found nothing new."""
    of_segment = _of(load_segments, load, landed) & (load_segments.c.segment == segment)
    stored = {row.source_table: row.seen for row in connection.execute(sa.select(load_segments).where(of_segment))}
    return [
        table
        for table, counts in landed.items()
        if table not in stored or counts.changed > 0 or stored[table] != counts.seen
    ]


def _add_up(connection: sa.Connection, load: Load, tables: Sequence[str], scanned: Collection[str]) -> None:
    names = [name for name in LandedCounts.__dataclass_fields__]
    sums = [sa.cast(sa.func.sum(load_segments.c[name]), sa.BigInteger).label(name) for name in names]
    of_tables = _of(load_segments, load, tables)
    added = sa.select(load_segments.c.source_table, *sums).where(of_tables).group_by(load_segments.c.source_table)
    whole = sa.select(loads.c.source_table).where(_of(loads, load, tables) & loads.c.is_complete)
    complete = {*connection.scalars(whole), *scanned}
    rows = []
    for row in connection.execute(added).mappings():
        counts = LandedCounts(**{name: int(row[name]) for name in names})
        of_load = replace(load, is_complete=load.is_complete or row["source_table"] in complete)
        rows.append(_to_row(of_load, row["source_table"], counts))
    connection.execute(sa.delete(loads).where(_of(loads, load, tables)))
    connection.execute(sa.insert(loads), rows)


def _of(table: sa.Table, load: Load, tables: Iterable[str]) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.load_id == load.load_id, table.c.source_table.in_(list(tables)))


def record_missing(
    connection: sa.Connection, load: Load, read: Sequence[str], missing: Sequence[str]
) -> dict[str, LandedCounts]:
    """A load of no rows for each table that a complete load should have read, so that the guard of volumes sees it.

    A mapping may name more than a folder has, and folders may share a mapping: of the `missing` tables those count
    whose newest load is this source's and had brought them together with one that is `read` now.

    Returns:
        The counts, all 0, per table. What an earlier try of this job has landed stays as it is.
    """
    if not load.is_complete or not missing:
        return {}
    nothing = LandedCounts(seen=0, inserted=0, updated=0, unchanged=0, duplicates=0, rejected=0)
    found = connection.execute(_expected(load.source, read, missing)).all()
    new = [row.source_table for row in found if row.load_id != load.load_id]
    if new:
        connection.execute(sa.insert(loads), [_to_row(load, table, nothing) for table in new])
    return {row.source_table: nothing for row in found}


def _expected(source: str, read: Sequence[str], missing: Sequence[str]) -> sa.Select[tuple[str, str]]:
    newest_first = (loads.c.loaded_at.desc(), loads.c.load_id.desc())
    ranked = (
        sa.select(
            loads.c.source_table,
            loads.c.load_id,
            loads.c.source,
            sa.func.row_number().over(partition_by=loads.c.source_table, order_by=newest_first).label("loads_ago"),
        )
        .where(loads.c.source_table.in_(missing))
        .subquery()
    )
    beside = loads.alias()
    return (
        sa.select(ranked.c.source_table, ranked.c.load_id)
        .distinct()
        .join(beside, beside.c.load_id == ranked.c.load_id)
        .where(ranked.c.loads_ago == 1, ranked.c.source == source, beside.c.source_table.in_(read))
        .order_by(ranked.c.source_table)
    )


def _to_row(load: Load, table: str, counts: LandedCounts) -> dict[str, Any]:
    return {
        "load_id": load.load_id,
        "source_table": table,
        "source": load.source,
        "source_system": source_system(table),
        "mode": load.mode,
        "is_complete": load.is_complete,
        "is_baseline": load.is_baseline,
        **counts.to_dict(),
        "loaded_at": load.loaded_at,
    }
