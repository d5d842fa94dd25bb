"""What each load read and changed, in `raw.loads`: the memory that the guards against shrunken sources rest on."""

from collections.abc import Mapping
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
