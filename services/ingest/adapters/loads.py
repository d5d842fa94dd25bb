"""What each load read and changed, in `raw.loads`: the memory that the guards against shrunken sources rest on."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from services.ingest.adapters.raw import LandedCounts, Load
from services.ingest.adapters.raw_tables import loads
from services.ingest.domain.raw_schema import source_system


def record_load(connection: sa.Connection, load: Load, landed: Mapping[str, LandedCounts]) -> None:
    """One row per RAW table that was read; the caller commits it together with the rows.

    A job that is tried again after it had landed finds its rows unchanged: the counts of the first try stay. Where the
    source differs meanwhile, those of the last try that changed something count.
    """
    of_load = sa.select(loads).where(loads.c.load_id == load.load_id)
    stored = {row.source_table: row for row in connection.execute(of_load)}
    for table, counts in landed.items():
        row = _to_row(load, table, counts)
        if table not in stored:
            connection.execute(sa.insert(loads), row)
        elif counts.inserted + counts.updated > 0 or stored[table].seen != counts.seen:
            of_table = sa.and_(loads.c.load_id == load.load_id, loads.c.source_table == table)
            values = {name: value for name, value in row.items() if name not in loads.primary_key.columns}
            connection.execute(sa.update(loads).where(of_table).values(values))


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
