"""The way of one object's reading, phase by phase, with a checkpoint after each page (domain/salesforce/places.py)."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from services.ingest.adapters.salesforce.api import LocatorLost, is_too_slow
from services.ingest.adapters.salesforce.bulk import JobLost
from services.ingest.adapters.salesforce.reading import OpenObject
from services.ingest.domain.batches import to_flags
from services.ingest.domain.salesforce.places import Place, begin_changes, begin_whole, why_whole
from services.ingest.domain.salesforce.records import read_records
from services.ingest.domain.salesforce.soql import (
    LONGEST_GET,
    Window,
    count_window,
    earlier,
    in_order,
    select_children,
    select_window,
    to_moment,
    to_stamp,
)
from services.ingest.domain.sources import Checkpoint, Reject, ScanEnd, SourceBatch, SourceEvent
from shared.errors import TerminalError, TransientError

Steps: TypeAlias = Generator[SourceEvent, None, Place]
_TRIES: Final = 4
_SHORTEST_SPAN: Final = timedelta(minutes=2)  # of the delete log, which knows whole minutes


@dataclass(frozen=True)
class Habits:
    """How objects are read; from the settings."""

    lookback_seconds: int
    bulk_rows: int
    whole_days: float


@dataclass
class ObjectStream:
    """One object's records. `stream` names the cursor; a `backfill` reads that window and nothing else."""

    open: OpenObject
    stream: str
    habits: Habits
    backfill: Window | None = None
    _has_restarted: bool = False
    _seen_deleted: set[str] = field(default_factory=set)

    def read(self, last: Place | None) -> Iterator[SourceEvent]:
        """Everything up to the final checkpoint, from where the last sync or attempt was."""
        if last is not None and last.phase != "done":
            # Fields that are new since would be there in one half alone; the next sync sees them as new.
            self.open.narrow(last.fields)
            place = last
        else:
            place = self._begin(last)
        while place.phase != "done":
            place = yield from self._go_on(place)
            if place.phase != "done":
                yield self._checkpoint(place)
        place = replace(place, fields=in_order(self.open.description.types))
        yield Checkpoint(self.stream, place.to_json(), is_final=True)

    def _begin(self, last: Place | None) -> Place:
        now, description = self.open.api.now, self.open.description
        if self.backfill is not None:
            fields = in_order(description.types)
            return Place("rows", self.backfill.until or to_stamp(now), self.backfill.since, fields=fields)
        reason = why_whole(last, description, now, self.habits.whole_days)
        if last is None or reason is not None:
            if last is not None:
                self.open.run.note(f"{self.stream} is read whole: {reason}.")
            return begin_whole(now, description, self.open.run.job_id, last)
        return begin_changes(now, description, last, self.habits.lookback_seconds)

    def _go_on(self, place: Place) -> Steps:
        match place.phase:
            case "rows":
                return (yield from self._rows(place))
            case "bulk":
                return (yield from self._bulk(place))
            case "late":
                return (yield from self._late(place))
            case "children":
                return (yield from self._children(place))
            case _:
                return (yield from self._deleted(place))

    def _rows(self, place: Place) -> Steps:
        """The window, by REST in order, or by a job where it is large."""
        if place.after is None and self._is_large(place):
            job_id = self._create_job(place)
            if job_id is not None:
                return replace(place, phase="bulk", bulk_job=job_id, fields=in_order(self.open.description.types))
        place = yield from self._in_order(place)
        return self._after_rows(place)

    def _after_rows(self, place: Place) -> Place:
        place = replace(place, after=None, bulk_job=None, locator=None)
        if self.backfill is not None:
            return replace(place, phase="done")
        if place.is_whole:
            return replace(place, phase="late")
        has_parents = self.open.sobject.parent is not None and not self.open.description.hears_changes
        return replace(place, phase="children" if has_parents else "deleted")

    def _is_large(self, place: Place) -> bool:
        if len(select_window(self.open.description, place.window, is_ordered=True)) > LONGEST_GET:
            return True
        try:
            found = self.open.api.count(count_window(self.open.description, place.window))
        except TerminalError as error:
            if not is_too_slow(error):
                raise
            return True
        if not found and place.is_whole:
            self.open.run.note(
                f"Salesforce shows no records of {self.stream}. If there are some, the integration user may not see "
                "them: it needs Read and View All on the object."
            )
        return found > self.habits.bulk_rows

    def _create_job(self, place: Place) -> str | None:
        """None where Bulk doesn't take the object: REST reads it then."""
        window = place.window
        try:
            return self.open.with_present_fields(
                lambda: self.open.bulk.create(select_window(self.open.description, window, is_ordered=False))
            )
        except TerminalError as error:
            if error.code != "crm-request-refused":
                raise
            self.open.run.note(f"{self.stream} is read by REST, since Bulk API 2.0 refuses it: {error.detail}")
            return None

    def _in_order(self, place: Place) -> Steps:
        """Pages by `(cursor, Id)`. A lost locator or a field that went away costs one page, not the window."""
        for _ in range(_TRIES):
            soql = select_window(self.open.description, place.window, is_ordered=True)
            try:
                for records in self.open.api.pages(soql):
                    columns, rejects = read_records(self.open.description, records)
                    yield from self._batches(place, columns, rejects)
                    after = self._last_of(columns, place)
                    if after is not None:
                        place = replace(place, after=after)
                        yield self._checkpoint(place)
                return place
            except LocatorLost:
                continue
            except TerminalError as error:
                self.open.redescribe(error)
        raise _restless(self.stream)

    def _last_of(self, columns: dict[str, pa.Array], place: Place) -> tuple[str, str] | None:
        """The greatest place of a page that lies in the window; none without an end.

        A record that changes during the scan comes with its new stamp where the old one was; that is no place to go on
        from. It lies at or after the window's end, which is the server's clock from before the scan.
        """
        end = place.window.until
        if end is None:
            return None
        stamps, ids = columns[self.open.description.cursor].to_pylist(), columns["Id"].to_pylist()
        seen = [(stamp, id) for stamp, id in zip(stamps, ids) if stamp is not None and stamp < end]
        return max([*seen, place.after] if place.after else seen, default=None)

    def _bulk(self, place: Place) -> Steps:
        """The window's job. One that is lost is made again; rows that came before are the same rows."""
        job_id = place.bulk_job
        assert job_id is not None
        try:
            self.open.bulk.wait(job_id)
            for page in self.open.bulk.pages(
                job_id, self.open.description, place.fields, place.locator, self.open.batch_rows
            ):
                yield from self._batches(place, page.columns, ())
                if page.locator is not None:
                    place = replace(place, locator=page.locator)
                    yield self._checkpoint(place)
        except JobLost as lost:
            if self._has_restarted:
                raise _lost_job(self.stream, lost.reason) from None
            self._has_restarted = True
            return replace(place, phase="rows", after=None, bulk_job=None, locator=None)
        self.open.bulk.discard(job_id)
        return self._after_rows(place)

    def _late(self, place: Place) -> Steps:
        """What changed since a whole reading began: what moved out of its window belongs to the scan, too."""
        place = yield from self._in_order(place)
        read = replace(place, phase="deleted", read_whole_until=place.until, scan_of=None)
        if place.scan_of == self.open.run.job_id:
            yield ScanEnd(self.open.sobject.table)
            return replace(read, deleted_until=place.until)
        self.open.run.note(
            f"{self.stream} was read whole by two syncs, so what Salesforce has forgotten to have deleted is not "
            "looked for until the next whole reading."
        )
        return read

    def _children(self, place: Place) -> Steps:
        """Of parents that changed: they come back from the recycle bin with them, and say so nowhere."""
        assert self.open.sobject.parent is not None
        parent, reference = self.open.sobject.parent
        for _ in range(_TRIES):
            soql = select_children(self.open.description, reference, parent, Window(place.since))
            try:
                for columns, rejects in self.open.fetch(soql):
                    yield from self.open.batches(columns, rejects)
                return replace(place, phase="deleted")
            except (LocatorLost, JobLost):
                continue
            except TerminalError as error:
                self.open.redescribe(error)
        raise _restless(self.stream)

    def _deleted(self, place: Place) -> Steps:
        """What the delete log tells since the last time: in the recycle bin or gone for good."""
        done = replace(place, phase="done", since=None)
        if not self.open.description.is_replicateable or place.deleted_until is None:
            return replace(done, deleted_until=place.until)
        now = self.open.api.now.replace(second=0)
        start = earlier(place.deleted_until, self.habits.lookback_seconds)
        if now - to_moment(start) < _SHORTEST_SPAN:
            return done
        deletions = self.open.api.deletions(self.open.sobject.name, start, to_stamp(now))
        if deletions is not None:
            unseen = tuple(id for id in deletions.ids if id not in self._seen_deleted)
            yield from self._read_again(unseen)
            return replace(done, deleted_until=deletions.until)
        if self._has_restarted:
            return replace(done, deleted_until=to_stamp(now))
        self._has_restarted = True
        self.open.run.note(f"{self.stream} is read whole: Salesforce has forgotten what was deleted of it.")
        return begin_whole(self.open.api.now, self.open.description, self.open.run.job_id, None)

    def _read_again(self, ids: tuple[str, ...]) -> Iterator[SourceBatch]:
        for _ in range(_TRIES):
            try:
                yield from self.open.fetch_ids("Id", ids)
                return
            except (LocatorLost, JobLost):
                continue
        raise _restless(self.stream)

    def _batches(
        self, place: Place, columns: dict[str, pa.Array], rejects: tuple[Reject, ...]
    ) -> Iterator[SourceBatch]:
        if self.open.description.has_is_deleted and "IsDeleted" in columns:
            deleted = pc.filter(columns["Id"], to_flags(columns["IsDeleted"]))
            self._seen_deleted.update(deleted.to_pylist())
        return self.open.batches(columns, rejects, is_scan=place.scan_of == self.open.run.job_id)

    def _checkpoint(self, place: Place) -> Checkpoint:
        return Checkpoint(self.stream, place.to_json())


def _restless(stream: str) -> TransientError:
    return TransientError(
        f"Salesforce lost the pages of {stream} {_TRIES} times. The job is tried again and goes on where it was.",
        code="crm-unavailable",
        title="The CRM is unavailable",
        source="salesforce",
    )


def _lost_job(stream: str, reason: str) -> TransientError:
    return TransientError(
        f"Salesforce's query job for {stream} came to nothing twice; the last time: {reason}. The job is tried again; "
        "with a larger GTM_SALESFORCE_BULK_ROWS the object is read by REST.",
        code="crm-unavailable",
        title="The CRM is unavailable",
        source="salesforce",
    )
