"""One segment of a load becomes rows of RAW, in one transaction.

    with open_spool(settings.spool_dir) as spool:      # one a segment; two may be open (the next is being filled)
        spool.add(batch)                               # SourceBatch; returns the table's rows in this spool so far
        spool.end_scan(table)                          # ScanEnd
        spool.rows                                     # rows of all tables in this spool
        landed = land_segment(job, warehouse, load, spool, segment=..., missing_tables=...)

`load.loaded_at` is the segment's own moment. `segment` names where the segment began: the same text when another
attempt reads the same stretch again (for example the JSON of the cursors before it), so that `raw.loads` counts it
once. A source without checkpoints lands as one segment with the default name.
"""

from collections.abc import Sequence

from services.ingest.adapters.loads import WHOLE_LOAD, record_load, record_missing
from services.ingest.adapters.raw import merge_table, stage_table
from services.ingest.adapters.raw_tables import create_raw_tables
from services.ingest.adapters.row_hashes import rehash_older_rows
from services.ingest.adapters.scans import gone_by_scan, remember_scan, require_volume
from services.ingest.adapters.spool import Spool
from services.ingest.adapters.unkeyed import drop_primary_keys
from services.ingest.domain.loads import LandedCounts, Load
from services.ingest.domain.sources import KnownRows
from shared.jobs.context import JobContext
from shared.warehouse import Warehouse

__all__ = ["WHOLE_LOAD", "land_segment"]


def land_segment(
    job: JobContext,
    warehouse: Warehouse,
    load: Load,
    spool: Spool,
    *,
    segment: str = WHOLE_LOAD,
    missing_tables: Sequence[str] = (),
) -> dict[str, LandedCounts]:
    """Merge all tables of the spool, committed only while this worker still holds the job. A repeat changes no row.

    Returns:
        This segment's counts per table (add them up for the load; a table may come in several segments); 0 throughout
        for those of the missing tables that should have come.

    Raises:
        TerminalError: `source-shrank`, when a scan lacks more than half of what RAW holds alive of its table.
        JobCancelled, LeaseLost: nothing of the segment was landed.
    """
    tables = [*spool.tables, *(table for table in spool.ended_scans if table not in spool.tables)]
    with warehouse.core(write=True) as connection:
        create_raw_tables(connection)
        drop_primary_keys(connection, tables)
        rehash_older_rows(connection, tables)
        staged = [
            stage_table(warehouse, connection, load, table, spool, gone_by_scan(load, table, spool)) for table in tables
        ]
        for table in tables:
            require_volume(connection, load, table, spool)
        landed = {}
        for done, one in enumerate(staged):
            job.report("merge", done, len(staged), "tables")
            known = spool.known.get(one.table, KnownRows())
            landed[one.table] = merge_table(warehouse, connection, one).with_known(known)
            remember_scan(connection, load, one.table, spool)
        record_load(connection, load, landed, segment=segment, scanned=spool.ended_scans)
        landed |= record_missing(connection, load, tables, missing_tables)
        job.check()
    return landed
