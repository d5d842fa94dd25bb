"""One sync: open the source, read it to disk, land it in RAW in one transaction."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from services.ingest.adapters.loads import record_load, record_missing
from services.ingest.adapters.raw import LandedCounts, Load, merge_table, stage_table
from services.ingest.adapters.raw_tables import create_raw_tables
from services.ingest.adapters.row_hashes import rehash_older_rows
from services.ingest.adapters.sources import open_source
from services.ingest.adapters.spool import Spool, open_spool
from services.ingest.domain.sources import Source, SourceBatch, SourceStates, SyncRun
from services.ingest.settings import IngestSettings
from shared.contracts import SyncRequest
from shared.jobs.context import JobContext
from shared.warehouse import Warehouse

_FIRST_REJECTS: Final = 5  # in the result: enough to see what is wrong with a file


def sync_source(
    job: JobContext, warehouse: Warehouse, settings: IngestSettings, states: SourceStates
) -> dict[str, Any]:
    """Read the requested source and land all of it or nothing. A repeat of the same rows changes none.

    Returns:
        The job's result: `source, load_id, tables` (counts per RAW table), the totals `seen, inserted, updated,
        unchanged, duplicates, rejected, changed`, `missing_tables` (came with the last load and have no file now, which
        counts as 0 rows), `unmapped_files`, and `first_rejects`: `{table, file, line, reason}` of at most 5, in reading
        order. Their text stays in `raw.rejects`: it may hold personal data.

    Raises:
        TransientError, TerminalError: from the source or the warehouse; nothing was landed.
        JobCancelled, LeaseLost: likewise.
    """
    request = SyncRequest.model_validate(job.request)
    remembered = states.get(request.source)
    run = SyncRun(job.job_id, request.mode, datetime.now(UTC), remembered)
    source = open_source(request, settings, run)
    if source.state is not None and source.state != remembered:
        states.put(source.name, source.state)
    with open_spool(settings.spool_dir) as spool:
        first_rejects = read_source(job, source, settings, spool)
        landed = land_spool(
            job, warehouse, spool, request, is_complete=source.is_complete, missing_tables=source.missing_tables
        )
    return {
        "source": source.name,
        "load_id": job.job_id,
        "tables": {table: counts.to_dict() for table, counts in landed.items()},
        **_totals(landed),
        "missing_tables": [table for table in source.missing_tables if table in landed],
        "unmapped_files": list(source.unmapped_files),
        "first_rejects": first_rejects,
    }


def read_source(job: JobContext, source: Source, settings: IngestSettings, spool: Spool) -> list[dict[str, Any]]:
    """Read every batch to disk, reporting progress per batch. The warehouse is free meanwhile.

    Returns:
        The first rejects without their text. The same files give the same ones, whatever the batch size.
    """
    first: list[dict[str, Any]] = []
    for batch in source.read(settings.batch_rows):
        if not isinstance(batch, SourceBatch):
            continue
        job.report(batch.table, spool.add(batch))
        for reject in batch.rejects[: _FIRST_REJECTS - len(first)]:
            first.append({"table": batch.table, "file": reject.file, "line": reject.line, "reason": reject.reason})
    return first


def land_spool(
    job: JobContext,
    warehouse: Warehouse,
    spool: Spool,
    request: SyncRequest,
    *,
    is_complete: bool,
    missing_tables: Sequence[str] = (),
) -> dict[str, LandedCounts]:
    """Merge all tables in one transaction, which is committed only while this worker still holds the job.

    Returns:
        Counts per table; 0 throughout for those of the missing tables that should have come.
    """
    load = Load(
        load_id=job.job_id,
        loaded_at=datetime.now(UTC).replace(tzinfo=None),
        source=request.source,
        mode=request.mode,
        is_complete=is_complete,
        is_baseline=request.accept_volume,
    )
    with warehouse.core(write=True) as connection:
        create_raw_tables(connection)
        rehash_older_rows(connection, spool.tables)
        staged = [stage_table(warehouse, connection, load, table, spool) for table in spool.tables]
        landed = {}
        for done, one in enumerate(staged):
            job.report("merge", done, len(staged), "tables")
            landed[one.table] = merge_table(connection, one)
        record_load(connection, load, landed)
        landed |= record_missing(connection, load, spool.tables, missing_tables)
        job.check()
    return landed


def _totals(landed: dict[str, LandedCounts]) -> dict[str, int]:
    names = ("seen", "inserted", "updated", "unchanged", "duplicates", "rejected")
    totals = {name: sum(getattr(counts, name) for counts in landed.values()) for name in names}
    return {**totals, "changed": totals["inserted"] + totals["updated"]}
