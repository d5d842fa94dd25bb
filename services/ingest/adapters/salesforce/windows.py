"""Reading a window of one object's records: in order by REST, or by a query job where it is large."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from services.ingest.adapters.salesforce.api import LocatorLost, is_too_slow
from services.ingest.adapters.salesforce.bulk import JobLost
from services.ingest.adapters.salesforce.reading import TRIES, OpenObject, restless
from services.ingest.domain.batches import to_flags
from services.ingest.domain.salesforce.places import Place
from services.ingest.domain.salesforce.soql import LONGEST_GET, count_window, in_order, select_window, to_stamp
from services.ingest.domain.sources import Checkpoint, Reject, SourceBatch, SourceEvent
from shared.errors import TerminalError, TransientError

Steps: TypeAlias = Generator[SourceEvent, None, Place]


@dataclass
class WindowReader:
    """The phases rows and bulk of a place. `then` is what comes after them."""

    open: OpenObject
    stream: str
    bulk_rows: int
    then: Callable[[Place], Place]
    seen_deleted: set[str] = field(default_factory=set)
    """Ids of the deleted records that came."""
    _has_remade_job: bool = False

    def rows(self, place: Place) -> Steps:
        """The window, by REST in order, or by a job where it is large."""
        if place.after is None and self._is_large(place):
            job_id = self._create_job(place)
            if job_id is not None:
                return replace(place, phase="bulk", bulk_job=job_id, fields=in_order(self.open.description.types))
        place = yield from self.in_order(place)
        return self.then(place)

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
        return found > self.bulk_rows

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

    def in_order(self, place: Place) -> Steps:
        """Pages by `(cursor, Id)`. A lost locator or a field that went away costs one page, not the window."""
        for _ in range(TRIES):
            end = place.window.until or to_stamp(self.open.api.now)
            soql = select_window(self.open.description, place.window, is_ordered=True)
            try:
                for columns, rejects in self.open.fetch(soql):
                    yield from self._batches(place, columns, rejects)
                    after = self._last_of(columns, place, end)
                    if after is not None:
                        place = replace(place, after=after)
                        yield self.checkpoint(place)
                return place
            except (LocatorLost, JobLost):
                continue
            except TerminalError as error:
                self.open.redescribe(error)
        raise restless(self.stream)

    def _last_of(self, columns: dict[str, pa.Array], place: Place, end: str) -> tuple[str, str] | None:
        """The greatest place of a page that lies before `end`.

        A record that changes during the scan comes with its new stamp where the old one was; that is no place to go on
        from. It lies at or after `end`: the window's, or that of an open one, the server's clock from before the query.
        """
        stamps, ids = columns[self.open.description.cursor].to_pylist(), columns["Id"].to_pylist()
        seen = [(stamp, id) for stamp, id in zip(stamps, ids) if stamp is not None and stamp < end]
        return max([*seen, place.after] if place.after else seen, default=None)

    def bulk(self, place: Place) -> Steps:
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
                    yield self.checkpoint(place)
        except JobLost as lost:
            if self._has_remade_job:
                raise _lost_job(self.stream, lost.reason) from None
            self._has_remade_job = True
            return replace(place, phase="rows", after=None, bulk_job=None, locator=None)
        return self.then(place)

    def checkpoint(self, place: Place, *, is_final: bool = False) -> Checkpoint:
        """With what the job has spent by now, of which its next attempt goes on counting."""
        run = self.open.run
        place = replace(place, spent=self.open.api.spent, spent_by=run.job_id)
        return Checkpoint(self.stream, place.to_json(), is_final=is_final)

    def _batches(
        self, place: Place, columns: dict[str, pa.Array], rejects: tuple[Reject, ...]
    ) -> Iterator[SourceBatch]:
        if self.open.description.has_is_deleted and "IsDeleted" in columns:
            deleted = pc.filter(columns["Id"], to_flags(columns["IsDeleted"]))
            self.seen_deleted.update(deleted.to_pylist())
        return self.open.batches(columns, rejects, is_scan=place.scan_of == self.open.run.job_id)


def _lost_job(stream: str, reason: str) -> TransientError:
    return TransientError(
        f"Salesforce's query job for {stream} came to nothing twice; the last time: {reason}. The job is tried again; "
        "with a larger GTM_SALESFORCE_BULK_ROWS the object is read by REST.",
        code="crm-unavailable",
        title="The CRM is unavailable",
        source="salesforce",
    )
