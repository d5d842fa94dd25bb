"""One sync: read the source in a thread, land it in RAW segment by segment, and keep the place that is reached."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from services.ingest.adapters.attempts import COUNTS, SyncAttempt
from services.ingest.adapters.changed_records import ChangedRecords
from services.ingest.adapters.segments import SegmentReader
from services.ingest.adapters.sources import open_source
from services.ingest.domain.schema_drift import SchemaChanged, SchemaWatch
from services.ingest.domain.sources import SourceStates
from services.ingest.settings import IngestSettings
from shared.contracts import SyncRequest
from shared.jobs.context import JobContext
from shared.warehouse import Warehouse


def sync_source(
    job: JobContext, warehouse: Warehouse, settings: IngestSettings, states: SourceStates
) -> dict[str, Any]:
    """Read the requested source and land it. A repeat of the same rows changes none.

    A source that gives no checkpoints lands as a whole or not at all. One that does lands segment by segment, each in a
    transaction; after each the cursors are stored, and an attempt that follows a failure goes on there.

    Returns:
        The job's result: `source, load_id, tables` (counts per RAW table, of all attempts), the totals `seen, inserted,
        updated, unchanged, duplicates, rejected, deleted, changed`, `missing_tables` (came with the last load and have
        no file now, which counts as 0 rows), `unmapped_files`, `first_rejects`: `{table, file, line, reason}` of at
        most 5, in reading order (their text stays in `raw.rejects`: it may hold personal data), `schema_changes` and
        `notes`.

    Raises:
        TransientError, TerminalError: from the source or the warehouse; the segments before it have landed.
        JobCancelled, LeaseLost: likewise.
    """
    request = SyncRequest.model_validate(job.request)
    attempt = SyncAttempt(job, warehouse, states, request)
    run, sign = attempt.begin()
    fields = states.read_fields(request.source)
    source = open_source(request, settings, replace(run, on_schema_change=request.on_schema_change, fields=fields))
    if source.state is not None and source.state != run.state:
        states.put(source.name, source.state)
    watch = SchemaWatch(request.on_schema_change, dict(fields))
    with SegmentReader(source, settings, watch, run.cursors, sign) as reader:
        report = partial(_report, job, reader)
        try:
            for segment in reader.segments(report):
                attempt.land(source, segment, report)
        except SchemaChanged as error:
            attempt.record_changes(source.name, error.changes)
            raise
        return attempt.result(source, reader)


def sync_changed_records(
    job: JobContext, warehouse: Warehouse, settings: IngestSettings, states: SourceStates, records: ChangedRecords
) -> dict[str, Any]:
    """Read and land the records that change events have named, and forget them once they have landed: a sync that is
    killed, or fails, leaves them to the next one. What they name comes with them: merges and associations.

    Returns:
        As `sync_source`, with `records`: how many of each object were read.

    Raises:
        As `sync_source`.
    """
    request = SyncRequest.model_validate(job.request)
    taken = records.take(request.source)
    options = {**request.options, "records": taken.by_object}
    if taken.generations:
        asked = {**request.model_dump(mode="json"), "options": options}
        result = sync_source(_Narrowed(job, asked), warehouse, settings, states)
    else:
        note = "No record waits: an earlier sync has landed all that change events had named."
        zeros = dict.fromkeys([*COUNTS, "changed"], 0)
        result = {"source": request.source, "load_id": job.job_id, "tables": {}, **zeros, "notes": [note]}
    records.settle(taken)
    return {"records": taken.counts, **result}


class _Narrowed:
    """The job with the records that it came for in its request."""

    def __init__(self, job: JobContext, request: Mapping[str, Any]) -> None:
        self.job_id = job.job_id
        self.request = request
        self.report = job.report
        self.check = job.check


def _report(job: JobContext, reader: SegmentReader) -> None:
    if reader.table:
        job.report(reader.table, reader.rows[reader.table])
