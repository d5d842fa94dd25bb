"""The way of one object's reading, phase by phase, with a checkpoint after each page of a window and after each phase
(domain/salesforce/places.py)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from services.ingest.adapters.salesforce.api import LocatorLost
from services.ingest.adapters.salesforce.bulk import JobLost
from services.ingest.adapters.salesforce.reading import TRIES, OpenObject, restless
from services.ingest.adapters.salesforce.windows import Steps, WindowReader
from services.ingest.domain.salesforce.places import Place, begin_changes, begin_whole, why_whole
from services.ingest.domain.salesforce.soql import (
    Window,
    earlier,
    in_order,
    select_children,
    to_moment,
    to_stamp,
)
from services.ingest.domain.sources import ScanEnd, SourceEvent
from shared.errors import TerminalError

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
    _has_scanned_again: bool = False

    def __post_init__(self) -> None:
        self._windows = WindowReader(self.open, self.stream, self.habits.bulk_rows, self._after_rows)

    def read(self, last: Place | None) -> Iterator[SourceEvent]:
        """Everything up to the final checkpoint, from where the last sync or attempt was."""
        goes_on = last is not None and last.phase != "done"
        if last is not None and goes_on:
            # Fields that are new since would be there in one half alone: they are new to the reading that follows.
            present = self.open.description
            self.open.narrow(last.fields)
            last = yield from self._finish(last)
            self.open.description = present
            yield self._windows.checkpoint(last)
        if last is None or not goes_on or self.backfill is None:
            last = yield from self._finish(self._begin(last))
        yield self._windows.checkpoint(last, is_final=True)

    def _finish(self, place: Place) -> Steps:
        while place.phase != "done":
            place = yield from self._go_on(place)
            if place.phase != "done":
                yield self._windows.checkpoint(place)
        return replace(place, fields=in_order(self.open.description.types))

    def _begin(self, last: Place | None) -> Place:
        now, description = self.open.api.now, self.open.description
        if self.backfill is not None:
            fields = in_order(description.types)
            return Place("rows", self.backfill.until or to_stamp(now), self.backfill.since, fields=fields)
        reason = why_whole(last, description, now, self.habits.whole_days)
        if last is None or reason is not None:
            if last is not None:
                self.open.run.note(f"{self.stream} is read whole: {reason}.")
            # A first reading has nothing to compare with: RAW has no rows that could be gone. A full one may have.
            is_first = last is None and self.open.run.mode == "incremental"
            return begin_whole(
                now,
                description,
                self.open.run.job_id,
                read_whole_until=last.read_whole_until if last else None,
                deleted_until=to_stamp(now) if is_first else last.deleted_until if last else None,
            )
        return begin_changes(now, description, last, self.habits.lookback_seconds)

    def _go_on(self, place: Place) -> Steps:
        match place.phase:
            case "rows":
                return (yield from self._windows.rows(place))
            case "bulk":
                return (yield from self._windows.bulk(place))
            case "late":
                return (yield from self._late(place))
            case "children":
                return (yield from self._children(place))
            case _:
                return (yield from self._deleted(place))

    def _after_rows(self, place: Place) -> Place:
        place = replace(place, after=None, bulk_job=None, locator=None)
        if self.backfill is not None:
            return replace(place, phase="done")
        if place.is_whole:
            return replace(place, phase="late")
        has_parents = self.open.sobject.parent is not None and not self.open.description.hears_changes
        return replace(place, phase="children" if has_parents else "deleted")

    def _late(self, place: Place) -> Steps:
        """What changed since a whole reading began: what moved out of its window belongs to the scan, too."""
        place = yield from self._windows.in_order(place)
        read = replace(place, phase="deleted", read_whole_until=place.until, scan_of=None)
        if place.scan_of == self.open.run.job_id:
            yield ScanEnd(self.open.sobject.table)
            return replace(read, deleted_until=place.until)
        self.open.run.note(
            f"{self.stream} was read whole by two syncs, neither of which has seen all of it: what was deleted is "
            "looked for in Salesforce's delete log, or by the next whole reading."
        )
        return read

    def _children(self, place: Place) -> Steps:
        """Of parents that changed: they come back from the recycle bin with them, and say so nowhere."""
        assert self.open.sobject.parent is not None
        parent, reference = self.open.sobject.parent
        for _ in range(TRIES):
            soql = select_children(self.open.description, reference, parent, Window(place.since))
            try:
                for columns, rejects in self.open.fetch(soql):
                    yield from self.open.batches(columns, rejects)
                return replace(place, phase="deleted")
            except (LocatorLost, JobLost):
                continue
            except TerminalError as error:
                self.open.redescribe(error)
        raise restless(self.stream)

    def _deleted(self, place: Place) -> Steps:
        """What the delete log tells since the last time: in the recycle bin or gone for good."""
        done = replace(place, phase="done", since=None)
        if not self.open.description.is_replicateable:
            return replace(done, deleted_until=place.until)
        if place.deleted_until is None:
            return done
        now = self.open.api.now.replace(second=0)
        start = earlier(place.deleted_until, self.habits.lookback_seconds)
        if now - to_moment(start) < _SHORTEST_SPAN:
            return done
        deletions = self.open.api.deletions(self.open.sobject.name, start, to_stamp(now))
        if deletions is not None:
            unseen = tuple(id for id in deletions.ids if id not in self._windows.seen_deleted)
            yield from self.open.fetch_ids("Id", unseen)
            return replace(done, deleted_until=deletions.until)
        if self._has_scanned_again:
            return replace(done, deleted_until=None)
        self._has_scanned_again = True
        self.open.run.note(f"{self.stream} is read whole: Salesforce has forgotten what was deleted of it.")
        return begin_whole(
            self.open.api.now,
            self.open.description,
            self.open.run.job_id,
            read_whole_until=place.read_whole_until,
            deleted_until=None,
        )
