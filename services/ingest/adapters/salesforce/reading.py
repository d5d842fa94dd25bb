"""Fetching records of one object: the statement by REST or, where it is too large for that, by a query job."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import pyarrow as pa

from services.ingest.adapters.salesforce.api import LocatorLost, SalesforceApi, is_unknown_field
from services.ingest.adapters.salesforce.bulk import BulkJobs, JobLost
from services.ingest.domain.salesforce.records import read_records, to_source_batch
from services.ingest.domain.salesforce.sobjects import Description, SObject
from services.ingest.domain.salesforce.soql import LONGEST_GET, in_order, select_by
from services.ingest.domain.sources import Reject, Replacement, SourceBatch, SyncRun
from shared.errors import TerminalError, TransientError

T = TypeVar("T")
TRIES: Final = 4
_IDS_AT_ONCE: Final = 200
_SCHEMA_CHANGES: Final = 3  # of one object in one sync; more is a fault, not a person at work


@dataclass
class OpenObject:
    """One object of one org, while it is read. `description` follows the org."""

    sobject: SObject
    description: Description
    api: SalesforceApi
    bulk: BulkJobs
    run: SyncRun
    batch_rows: int
    _changes_left: int = _SCHEMA_CHANGES

    def fetch(self, soql: str) -> Iterator[tuple[dict[str, pa.Array], tuple[Reject, ...]]]:
        """All records of a statement over the present fields, page by page, without a place to go on from.

        Raises:
            LocatorLost, JobLost: begin anew.
        """
        if len(soql) <= LONGEST_GET:
            for records in self.api.pages(soql):
                yield read_records(self.description, records)
            return
        job_id = self.bulk.create(soql)
        self.bulk.wait(job_id)
        fields = in_order(self.description.types)
        for page in self.bulk.pages(job_id, self.description, fields, None, self.batch_rows):
            yield page.columns, ()

    def fetch_ids(self, field: str, ids: Sequence[str]) -> Iterator[SourceBatch]:
        """All records whose `field` is one of the ids, and that there are no others: what RAW has more is gone.

        Raises:
            TransientError: `crm-unavailable`, when Salesforce lost the pages of a part every time.
        """
        for begin in range(0, len(ids), _IDS_AT_ONCE):
            some = ids[begin : begin + _IDS_AT_ONCE]
            yield from self._fetch_some(field, some)

    def batches(
        self, columns: dict[str, pa.Array], rejects: tuple[Reject, ...] = (), *, is_scan: bool = False
    ) -> Iterator[SourceBatch]:
        """At most `batch_rows` rows each; one without rows where there are none, so that RAW knows that it was read."""
        rows = len(columns["Id"])
        description = self.description.only(tuple(columns))
        for begin in range(0, rows, self.batch_rows):
            some = {field: column.slice(begin, self.batch_rows) for field, column in columns.items()}
            yield to_source_batch(self.sobject, description, some, rejects=rejects, is_scan=is_scan)
            rejects = ()
        if rejects or not rows:
            yield to_source_batch(self.sobject, description, columns, rejects=rejects, is_scan=is_scan)

    def redescribe(self, error: TerminalError) -> None:
        """A field went away, or its permission did, since the object was described. Raises `error` if none did."""
        if not is_unknown_field(error) or self._changes_left == 0:
            raise error
        self._changes_left -= 1
        known = set(self.description.types)
        self.narrow(self.api.describe(self.sobject.name).types)
        if set(self.description.types) == known:
            raise error

    def narrow(self, fields: Iterable[str]) -> None:
        """Read no other fields than these from now on."""
        wanted = set(fields)
        self.description = self.description.only([field for field in self.description.types if field in wanted])

    def with_present_fields(self, call: Callable[[], T]) -> T:
        """The call's result, made again with the fields that are left when one went away."""
        while True:
            try:
                return call()
            except TerminalError as error:
                self.redescribe(error)

    def _fetch_some(self, field: str, ids: Sequence[str]) -> Iterator[SourceBatch]:
        def read() -> list[tuple[dict[str, pa.Array], tuple[Reject, ...]]]:
            for _ in range(TRIES):
                try:
                    return list(self.fetch(select_by(self.description, field, ids)))
                except (LocatorLost, JobLost):
                    continue
            raise restless(self.sobject.name)

        parts = self.with_present_fields(read)
        columns = {name: pa.concat_arrays([part[name] for part, _ in parts]) for name in parts[0][0]}
        rejects = tuple(reject for _, some in parts for reject in some)
        column = next(raw for raw, name in self.description.columns(self.sobject).items() if name == field)
        description = self.description.only(tuple(columns))
        replaces = Replacement(column, tuple(ids))
        yield to_source_batch(self.sobject, description, columns, rejects=rejects, replaces=replaces)


def restless(stream: str) -> TransientError:
    """No try brought all pages of a statement."""
    return TransientError(
        f"Salesforce lost the pages of {stream} {TRIES} times. The job is tried again and goes on where it was.",
        code="crm-unavailable",
        title="The CRM is unavailable",
        source="salesforce",
    )
