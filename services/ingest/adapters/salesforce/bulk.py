"""Query jobs of Bulk API 2.0: made, waited for, and their results page by page (Bulk API 2.0 guide, "Query").

Results stay for seven days, and a locator leads to the same page as often as it is asked for, so a sync that was
killed goes on with the job that it had. No job is deleted: when its last page has landed, nobody tells the source.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from services.ingest.adapters.salesforce.api import SalesforceApi, as_documented, malformed_page
from services.ingest.domain.salesforce.records import MalformedCsv, read_csv
from services.ingest.domain.salesforce.sobjects import Description
from services.ingest.domain.sources import SyncRun
from shared.errors import TerminalError

_PATH: Final = "/jobs/query"
_RUNNING: Final = frozenset({"UploadComplete", "InProgress"})
_LAST: Final = ("", "null")  # the locator after the last page; the guide has both
_PAGE_TRIES: Final = 4
_LEAST_ROWS: Final = 10_000  # each page is an API request


@dataclass(frozen=True)
class Pace:
    """How often a job is asked for: each time is an API request. Doubles from the first to the longest."""

    first_seconds: float = 1.0
    longest_seconds: float = 20.0


@dataclass(frozen=True)
class BulkPage:
    """A page's columns by field, and where the next one is; None after the last."""

    columns: dict[str, pa.Array]
    rows: int
    locator: str | None


class JobLost(Exception):
    """The job is gone, was aborted or failed: a new one is needed."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class BulkJobs:
    """Query jobs of one org."""

    def __init__(self, api: SalesforceApi, run: SyncRun, pace: Pace) -> None:
        self._api = api
        self._run = run
        self._pace = pace

    def create(self, soql: str) -> str:
        """A queryAll job's id. Raises as `SalesforceApi.call`; a statement that can't be run is refused at once."""
        asked = {"operation": "queryAll", "query": soql, "columnDelimiter": "COMMA", "lineEnding": "LF"}
        job = self._api.call("POST", _PATH, json=asked)
        with as_documented("a query job"):
            return str(job["id"])

    def wait(self, job_id: str) -> None:
        """Until the results are there. Raises JobLost."""
        seconds = self._pace.first_seconds
        while True:
            job = self._find(job_id)
            state = str(job.get("state"))
            if state == "JobComplete":
                return
            if state not in _RUNNING:
                raise JobLost(f"{state}: {job.get('errorMessage') or 'no reason given'}")
            self._run.pause(seconds)
            seconds = min(seconds * 2, self._pace.longest_seconds)

    def pages(
        self, job_id: str, description: Description, fields: Sequence[str], locator: str | None, rows: int
    ) -> Iterator[BulkPage]:
        """From the locator on, about so many rows a page; `fields` are those that the job was made for.

        Raises:
            JobLost: the results are gone.
            TransientError: `crm-unavailable`, for a page that came broken every time.
        """
        types = {field: description.types.get(field, "string") for field in fields}
        place: str | None = locator
        while True:
            page = self._page(job_id, types, place, rows)
            yield page
            if page.locator is None:
                return
            place = page.locator

    def _find(self, job_id: str) -> dict[str, Any]:
        try:
            job = self._api.call("GET", f"{_PATH}/{job_id}")
        except TerminalError as error:
            if error.code == "crm-not-found":
                raise JobLost("Salesforce knows it no more") from None
            raise
        with as_documented("a query job"):
            return {**job}

    def _page(self, job_id: str, types: dict[str, str], locator: str | None, rows: int) -> BulkPage:
        params = {"maxRecords": max(rows, _LEAST_ROWS)} | ({"locator": locator} if locator else {})
        failure = ""
        for attempt in range(_PAGE_TRIES):
            self._run.pause(0 if attempt == 0 else self._pace.first_seconds)
            with tempfile.TemporaryFile() as file:
                try:
                    headers = self._api.download(f"{_PATH}/{job_id}/results", file, params)
                    columns = read_csv(list(types), types, file)
                except MalformedCsv as error:
                    failure = str(error)
                    continue
                except TerminalError as error:
                    if error.code in ("crm-not-found", "crm-request-refused"):
                        raise JobLost(str(error)) from None
                    raise
            told = headers.get("sforce-numberofrecords", "")
            got = len(columns["Id"])
            if told != str(got) and (told or not got):
                failure = f"{got} rows came of {told or 'no number that was told'}"
                continue
            following = headers.get("sforce-locator", "")
            return BulkPage(columns, got, None if following in _LAST else following)
        raise malformed_page(f"a page of the results of query job {job_id}: {failure}")
