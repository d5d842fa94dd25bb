"""One sync: read the source in a thread, land it in RAW segment by segment, and keep the place that is reached."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from services.ingest.adapters.landing import WHOLE_LOAD, land_segment
from services.ingest.adapters.raw import LandedCounts, Load
from services.ingest.adapters.schema_changes import record_schema_changes
from services.ingest.adapters.segments import Segment, SegmentReader, StopSign
from services.ingest.adapters.sources import open_source
from services.ingest.adapters.spool import Spool
from services.ingest.domain.schema_drift import SchemaChange, SchemaChanged, SchemaWatch
from services.ingest.domain.sources import Source, SourceStates, SyncRun
from services.ingest.settings import IngestSettings
from shared.contracts import SyncRequest
from shared.jobs.context import JobContext
from shared.warehouse import Warehouse

_COUNTS: Final = ("seen", "inserted", "updated", "unchanged", "duplicates", "rejected")


def sync_source(
    job: JobContext, warehouse: Warehouse, settings: IngestSettings, states: SourceStates
) -> dict[str, Any]:
    """Read the requested source and land it. A repeat of the same rows changes none.

    A source that gives no checkpoints lands as a whole or not at all. One that does lands segment by segment, each in a
    transaction; after each the cursors are stored, and an attempt that follows a failure goes on there.

    Returns:
        The job's result: `source, load_id, tables` (counts per RAW table), the totals `seen, inserted, updated,
        unchanged, duplicates, rejected, changed`, `missing_tables` (came with the last load and have no file now, which
        counts as 0 rows), `unmapped_files`, `first_rejects`: `{table, file, line, reason}` of at most 5, in reading
        order (their text stays in `raw.rejects`: it may hold personal data), `schema_changes` and `notes`.

    Raises:
        TransientError, TerminalError: from the source or the warehouse; the segments before it have landed.
        JobCancelled, LeaseLost: likewise.
    """
    request = SyncRequest.model_validate(job.request)
    sync = _Sync(job, warehouse, states, request)
    run, sign = sync.begin()
    source = open_source(request, settings, run)
    if source.state is not None and source.state != run.state:
        states.put(source.name, source.state)
    watch = SchemaWatch(request.on_schema_change, dict(states.read_fields(source.name)))
    with SegmentReader(source, settings, watch, run.cursors, sign) as reader:
        try:
            for segment in reader.segments(lambda: _report(job, reader)):
                sync.land(source, segment)
        except SchemaChanged as error:
            sync.record_changes(source.name, error.changes)
            raise
        return sync.result(source, reader)


def land_spool(
    job: JobContext,
    warehouse: Warehouse,
    spool: Spool,
    request: SyncRequest,
    *,
    is_complete: bool,
    missing_tables: Sequence[str] = (),
    segment: str = WHOLE_LOAD,
) -> dict[str, LandedCounts]:
    """Merge all tables in one transaction, which is committed only while this worker still holds the job.

    Returns:
        Counts per table; 0 throughout for those of the missing tables that should have come.
    """
    load = Load(
        load_id=job.job_id,
        loaded_at=_now(),
        source=request.source,
        mode=request.mode,
        is_complete=is_complete,
        is_baseline=request.accept_volume,
    )
    return land_segment(job, warehouse, load, spool, segment=segment, missing_tables=missing_tables)


class _Sync:
    """What one attempt has landed and learnt so far."""

    def __init__(self, job: JobContext, warehouse: Warehouse, states: SourceStates, request: SyncRequest) -> None:
        self._job = job
        self._warehouse = warehouse
        self._states = states
        self._request = request
        self._landed: dict[str, Counter[str]] = {}
        self._changes: list[SchemaChange] = []
        self._notes: dict[str, None] = {}
        self._is_from_start = True

    def begin(self) -> tuple[SyncRun, StopSign]:
        """What the source is told, and the sign by which its reading is ended."""
        request, sign = self._request, StopSign()
        of_job = None if request.mode == "incremental" else self._job.job_id
        cursors = self._states.read_cursors(request.source, of_job=of_job)
        self._is_from_start = not cursors
        run = SyncRun(
            job_id=self._job.job_id,
            mode=request.mode,
            started_at=datetime.now(UTC),
            state=self._states.get(request.source),
            cursors=cursors,
            pause=sign.pause,
            note=lambda text: self._notes.setdefault(text),
        )
        return run, sign

    def land(self, source: Source, segment: Segment) -> None:
        """The rows first, then what rests on them: a kill in between costs a repeat that changes nothing."""
        self.record_changes(source.name, segment.changes)
        landed = land_spool(
            self._job,
            self._warehouse,
            segment.spool,
            self._request,
            is_complete=source.is_complete,
            missing_tables=source.missing_tables,
            segment=segment.name,
        )
        for table, counts in landed.items():
            self._landed.setdefault(table, Counter()).update(counts.to_dict())
        if segment.fields:
            self._states.put_fields(source.name, segment.fields)
        if segment.checkpoints:
            self._states.put_cursors(source.name, segment.checkpoints)

    def record_changes(self, source: str, changes: Sequence[SchemaChange]) -> None:
        """In the warehouse and for the result."""
        record_schema_changes(self._warehouse, self._job.job_id, source, changes, _now())
        self._changes += changes

    def result(self, source: Source, reader: SegmentReader) -> dict[str, Any]:
        """The job's result, of this attempt."""
        totals = {name: sum(counts[name] for counts in self._landed.values()) for name in _COUNTS}
        if totals["seen"] == 0 and self._is_from_start:
            self._notes.setdefault(
                f"{source.name} gave not a single row, though it was read from its start. Check the options, and that "
                "its credentials or folder are those of the system that you mean."
            )
        return {
            "source": source.name,
            "load_id": self._job.job_id,
            "tables": {table: _in_order(counts) for table, counts in self._landed.items()},
            **totals,
            "changed": totals["inserted"] + totals["updated"],
            "missing_tables": [table for table in source.missing_tables if table in self._landed],
            "unmapped_files": list(source.unmapped_files),
            "first_rejects": reader.first_rejects,
            "schema_changes": [one.to_dict() for one in self._changes],
            "notes": list(self._notes),
        }


def _report(job: JobContext, reader: SegmentReader) -> None:
    if reader.table:
        job.report(reader.table, reader.rows[reader.table])


def _in_order(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: counts[name] for name in _COUNTS}


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
