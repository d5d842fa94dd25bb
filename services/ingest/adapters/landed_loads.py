"""What `raw.loads` knows of earlier attempts of a sync, and of the syncs that its cursors rest on."""

from collections.abc import Collection

import sqlalchemy as sa

from services.ingest.adapters.raw_tables import create_raw_tables, loads
from shared.warehouse import Warehouse


def find_missing_loads(warehouse: Warehouse, load_ids: Collection[str]) -> set[str]:
    """Loads that RAW doesn't know: it was emptied, replaced, or restored to an earlier day."""
    if not load_ids:
        return set()
    with warehouse.core(write=True) as connection:
        create_raw_tables(connection)
        known = connection.scalars(sa.select(loads.c.load_id).where(loads.c.load_id.in_(list(load_ids))).distinct())
        return {*load_ids} - {*known}


def read_counts(warehouse: Warehouse, load_id: str, names: Collection[str]) -> dict[str, dict[str, int]]:
    """RAW table -> its counts by name, over all segments and attempts of the load so far."""
    columns = [loads.c[name] for name in names]
    of_load = sa.select(loads.c.source_table, *columns).where(loads.c.load_id == load_id)
    with warehouse.core() as connection:
        rows = connection.execute(of_load.order_by(loads.c.source_table)).mappings().all()
    return {row["source_table"]: {name: int(row[name]) for name in names} for row in rows}
