"""What one segment offers to a RAW table, and its merge. The engine hashes, deduplicates and makes tombstones."""

from dataclasses import dataclass, replace

import sqlalchemy as sa

from services.ingest.adapters.offers import (
    gone_select,
    offered_select,
    record_key,
    reject_select,
    superseded_selects,
)
from services.ingest.adapters.raw_tables import RAW_TABLES, rejects
from services.ingest.adapters.scans import came_selects
from services.ingest.adapters.spool import Spool
from services.ingest.domain.loads import LandedCounts, Load
from shared.warehouse import MergeCounts, Warehouse, merge_staged

# A late, older version never overwrites a newer one; where either has no readable stamp, the later arrival counts.
_UPDATE_WHEN = (
    "stored.row_hash <> offered.row_hash and (stored.source_updated_at is null or offered.source_updated_at is null"
    " or offered.source_updated_at >= stored.source_updated_at)"
)


@dataclass(frozen=True)
class StagedTable:
    """A RAW table's rows, tombstones and rejects under temporary names, ready to be merged."""

    table: str
    arrived: int
    """Rows read."""
    superseded: int
    """Of these: versions of a record before another one that came with them."""
    gone: int
    """Tombstones."""
    rejected: int

    @property
    def staged(self) -> str:
        """As they were read."""
        return f"staged_{self.table}"

    @property
    def offered(self) -> str:
        """One row per key with every column of the RAW table."""
        return f"offered_{self.table}"

    @property
    def rejects(self) -> str:
        """With the columns of `raw.rejects`."""
        return f"rejects_of_{self.table}"


def stage_table(
    warehouse: Warehouse, connection: sa.Connection, load: Load, table: str, spool: Spool, gone_by_scan: str | None
) -> StagedTable:
    """Bring what the spool holds for `raw.<table>` next to it, one row per key, and its rejects.

    Apart from the merging, because Snowflake commits at every statement that creates a table.

    Args:
        gone_by_scan: SQL condition on the rows `stored` of RAW that a whole reading of the table missed; the rows that
            were read are `staged_<table>`. None: the table was not read whole.
    """
    rows, rejected = spool.read_rows(table), spool.read_rejects(table)
    staged = StagedTable(table, rows.count, 0, 0, rejected.count)
    if rows.count:
        warehouse.load_parquet(connection, staged.staged, rows.files, owner=load.load_id)
    held = spool.read_held(table)
    if held.count:
        warehouse.load_parquet(connection, f"held_of_{table}", held.files, owner=load.load_id)
    replaced = spool.replaced_columns.get(table, set())
    if replaced:
        warehouse.load_parquet(connection, f"replaced_of_{table}", spool.read_replaced(table).files, owner=load.load_id)
    staged = replace(staged, superseded=_find_superseded(warehouse, connection, staged, replaced))
    if replaced or gone_by_scan:
        came = came_selects(table, spool, is_superseding=bool(replaced))
        select = gone_select(load, table, replaced, gone_by_scan, came)
        warehouse.derive(connection, f"gone_from_{table}", select, rows=0)
        staged = replace(staged, gone=_count(connection, f"gone_from_{table}"))
    if staged.arrived or staged.gone:
        select = offered_select(load, table, staged.arrived, staged.superseded, staged.gone)
        warehouse.derive(connection, staged.offered, select, rows=staged.arrived + staged.gone)
    if rejected.count:
        warehouse.load_parquet(connection, f"unread_{table}", rejected.files, owner=load.load_id)
        warehouse.derive(connection, staged.rejects, reject_select(load, table), rows=rejected.count)
    return staged


def merge_table(warehouse: Warehouse, connection: sa.Connection, staged: StagedTable) -> LandedCounts:
    """One merge into `raw.<table>`, one into `raw.rejects`; the caller commits. The same rows again change nothing.

    A reject met again, at the same place with the same text, is not written.
    """
    merged = MergeCounts()
    if staged.arrived or staged.gone:
        target = RAW_TABLES[staged.table]
        merged = warehouse.merge(
            connection, target, staged.offered, update_when=_UPDATE_WHEN, prune_by="source_record_id"
        )
    if staged.rejected:
        merge_staged(connection, rejects, staged.rejects, update_when="stored.reason <> offered.reason")
    return LandedCounts(
        seen=staged.arrived + staged.rejected,
        inserted=merged.inserted,
        updated=merged.updated - staged.gone,
        unchanged=merged.unchanged,
        duplicates=staged.superseded,
        rejected=staged.rejected,
        deleted=staged.gone,
    )


def _find_superseded(warehouse: Warehouse, connection: sa.Connection, staged: StagedTable, replaced: set[str]) -> int:
    """Into `superseded_<table>`: the arrival numbers of the versions that lose. Most batches have none."""
    if not staged.arrived:
        return 0
    keys = _count(connection, staged.staged, f"count(distinct {record_key(staged.table)})")
    if keys == staged.arrived and not replaced:
        return 0
    name = f"superseded_{staged.table}"
    create, *more = superseded_selects(staged.table, replaced)
    warehouse.derive(connection, name, create, rows=0)
    for select in more:
        connection.exec_driver_sql(f"insert into {name} {select}")
    return _count(connection, name)


def _count(connection: sa.Connection, name: str, what: str = "count(*)") -> int:
    return int(connection.exec_driver_sql(f"select {what} from {name}").scalar_one())
