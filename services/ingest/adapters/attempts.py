"""One attempt of a sync: where it goes on, what it has landed, and what the job's result tells of it."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from services.ingest.adapters.landed_loads import find_missing_loads, read_counts
from services.ingest.adapters.landing import land_segment
from services.ingest.adapters.schema_changes import record_schema_changes
from services.ingest.adapters.segments import Segment, SegmentReader, StopSign
from services.ingest.domain.loads import LandedCounts, Load
from services.ingest.domain.schema_drift import SchemaChange
from services.ingest.domain.sources import Source, SourceStates, SyncRun
from shared.contracts import SyncRequest
from shared.jobs.context import JobContext
from shared.warehouse import Warehouse

# In any source: a window of time, or single records. That they came says nothing of how fresh the rest is.
_PART_OPTIONS: Final = ("since", "until", "records")
COUNTS: Final = ("seen", "inserted", "updated", "unchanged", "duplicates", "rejected", "deleted")


class SyncAttempt:
    """Made at the start of an attempt; `begin` first."""

    def __init__(self, job: JobContext, warehouse: Warehouse, states: SourceStates, request: SyncRequest) -> None:
        self._job = job
        self._warehouse = warehouse
        self._states = states
        self._request = request
        self._landed: dict[str, Counter[str]] = {}
        self._changes: list[SchemaChange] = []
        self._notes: dict[str, None] = {}
        self._is_from_start = True
        self._is_first = True

    def begin(self) -> tuple[SyncRun, StopSign]:
        """What the source is told, and the sign by which its reading is ended."""
        request, sign = self._request, StopSign()
        run = SyncRun(
            job_id=self._job.job_id,
            mode=request.mode,
            started_at=datetime.now(UTC),
            state=self._states.get(request.source),
            cursors=self._cursors(),
            pause=sign.pause,
            note=lambda text: self._notes.setdefault(text),
        )
        self._is_from_start = not run.cursors and request.mode != "records"
        return run, sign

    def land(self, source: Source, segment: Segment, report: Callable[[], None]) -> None:
        """The rows first, then what rests on them: a kill in between costs a repeat that changes nothing.

        `report` tells the reading's progress: that is the job's phase until the last segment lands.
        """
        self.record_changes(source.name, segment.changes)
        job = self._job if segment.is_last else _Landing(self._job, report)
        landed = self._land_rows(job, source, segment)
        for table, counts in landed.items():
            self._landed.setdefault(table, Counter()).update(counts.to_dict())
        if segment.fields:
            self._states.put_fields(source.name, segment.fields)
        if segment.checkpoints:
            self._states.put_cursors(source.name, segment.checkpoints, has_landed=bool(landed))

    def _land_rows(self, job: JobContext, source: Source, segment: Segment) -> dict[str, LandedCounts]:
        """An empty end of a reading that has landed already needs no warehouse."""
        if segment.is_empty and self._landed:
            return {}
        load = to_load(self._job, self._request, is_complete=source.is_complete)
        missing = source.missing_tables
        return land_segment(job, self._warehouse, load, segment.spool, segment=segment.name, missing_tables=missing)

    def record_changes(self, source: str, changes: Sequence[SchemaChange]) -> None:
        """In the warehouse and for the result."""
        record_schema_changes(self._warehouse, self._job.job_id, source, changes, naive_now())
        self._changes += changes

    def result(self, source: Source, reader: SegmentReader) -> dict[str, Any]:
        """The job's result. Counts are of all attempts, the lists of this one."""
        tables: Mapping[str, Mapping[str, int]] = self._landed
        if not self._is_first:
            tables = read_counts(self._warehouse, self._job.job_id, COUNTS)
        totals = {name: sum(counts[name] for counts in tables.values()) for name in COUNTS}
        if totals["seen"] == 0 and self._is_from_start:
            self._notes.setdefault(
                f"{source.name} gave not a single row, though it was read from its start. Check the options, and that "
                "its credentials or folder are those of the system that you mean."
            )
        return {
            "source": source.name,
            "load_id": self._job.job_id,
            "tables": {table: {name: counts[name] for name in COUNTS} for table, counts in tables.items()},
            **totals,
            "changed": totals["inserted"] + totals["updated"] + totals["deleted"],
            "missing_tables": [table for table in source.missing_tables if table in tables],
            "unmapped_files": list(source.unmapped_files),
            "first_rejects": reader.first_rejects,
            "schema_changes": [one.to_dict() for one in self._changes],
            "notes": list(self._notes),
        }

    def _cursors(self) -> Mapping[str, dict[str, Any]]:
        source = self._request.source
        of_job = self._states.read_cursors(source, of_job=self._job.job_id)
        self._is_first = not of_job
        cursors = self._states.read_cursors(source) if self._request.mode == "incremental" else of_job
        rests_on = {stream: load for stream, load in self._states.read_landed_by(source).items() if stream in cursors}
        missing = find_missing_loads(self._warehouse, set(rests_on.values()))
        lost = sorted(stream for stream, load in rests_on.items() if load in missing)
        if not lost:
            return cursors
        # Cursors beyond rows that RAW doesn't have would leave them out for ever.
        self._states.drop_cursors(source, lost)
        loads = ", ".join(sorted(missing))
        self._notes.setdefault(
            f"RAW knows nothing of load {loads}, by which {source} was read before: it was emptied, or restored to an "
            f"earlier day. So all was read again of {', '.join(lost)}."
        )
        return {stream: cursor for stream, cursor in cursors.items() if stream not in lost}


class _Landing:
    """The job while a segment lands and reading goes on: a phase that changed every few seconds would fill logs."""

    def __init__(self, job: JobContext, report: Callable[[], None]) -> None:
        self.job_id = job.job_id
        self.request = job.request
        self.check = job.check
        self._report = report

    def report(self, phase: str, done: int, total: int | None = None, unit: str = "rows") -> None:
        """Of the reading; raises as the job's own does."""
        self._report()


def to_load(job: JobContext, request: SyncRequest, *, is_complete: bool) -> Load:
    """The load that one transaction of this job is."""
    return Load(
        load_id=job.job_id,
        loaded_at=naive_now(),
        source=request.source,
        mode="part" if any(request.options.get(name) is not None for name in _PART_OPTIONS) else request.mode,
        is_complete=is_complete,
        is_baseline=request.accept_volume,
    )


def naive_now() -> datetime:
    """UTC, as both engines take it."""
    return datetime.now(UTC).replace(tzinfo=None)
