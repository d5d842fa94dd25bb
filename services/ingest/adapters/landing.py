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

from services.ingest.adapters.loads import record_load, record_missing
from services.ingest.adapters.raw import LandedCounts, Load, merge_table, stage_table
from services.ingest.adapters.raw_tables import create_raw_tables
from services.ingest.adapters.row_hashes import rehash_older_rows
from services.ingest.adapters.spool import Spool
from shared.jobs.context import JobContext
from shared.warehouse import Warehouse

WHOLE_LOAD = "all"


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
        TerminalError: `source-shrank`, when a scan brought less than half of what RAW holds alive of its table.
        JobCancelled, LeaseLost: nothing of the segment was landed.
    """
    with warehouse.core(write=True) as connection:
        create_raw_tables(connection)
        rehash_older_rows(connection, spool.tables)
        staged = [stage_table(warehouse, connection, load, table, spool) for table in spool.tables]
        landed = {}
        for done, one in enumerate(staged):
            job.report("merge", done, len(staged), "tables")
            landed[one.table] = merge_table(connection, one).with_known(spool.known[one.table])
        record_load(connection, load, landed)
        landed |= record_missing(connection, load, spool.tables, missing_tables)
        job.check()
    return landed
