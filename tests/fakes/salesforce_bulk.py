"""Query jobs of Bulk API 2.0: their life, and results by locator (Bulk API 2.0 guide, "Query")."""

import base64
import csv
import io
import itertools
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.salesforce_org import Org
from tests.fakes.salesforce_soql import SoqlError, parse_soql


@dataclass
class BulkJob:
    """One query job. Its statement runs when the job is done, not when it is created."""

    id: str
    query: str
    is_query_all: bool
    polls_left: int
    state: str = "UploadComplete"
    error: str = ""
    sobject: str = ""
    header: tuple[str, ...] = ()
    rows: list[list[str]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        answer = {
            "id": self.id,
            "operation": "queryAll" if self.is_query_all else "query",
            "object": self.sobject,
            "state": self.state,
            "contentType": "CSV",
            "apiVersion": 62.0,
            "jobType": "V2Query",
            "lineEnding": "LF",
            "columnDelimiter": "COMMA",
            "numberRecordsProcessed": len(self.rows),
        }
        return answer | ({"errorMessage": self.error} if self.error else {})


@dataclass
class BulkJobs:
    """All jobs of an org. `polls` is how often one is asked for before it is done."""

    org: Org
    polls: int = 2
    page_rows: int = 1_000_000
    repeats_header: bool = True
    """Each page of results begins with the header, or the first alone."""
    fails_with: str = ""
    """What every job fails with from now on."""
    jobs: dict[str, BulkJob] = field(default_factory=dict)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def create(self, query: str, operation: str) -> BulkJob:
        """Raises SoqlError for a statement that can't be run."""
        statement = parse_soql(query, self.org)
        job = BulkJob(f"750fake{next(self._numbers):011d}", query, operation == "queryAll", self.polls)
        job.sobject = statement.sobject
        self.jobs[job.id] = job
        return job

    def poll(self, job_id: str) -> BulkJob | None:
        """The job, a step further."""
        job = self.jobs.get(job_id)
        if job is not None and job.state in ("UploadComplete", "InProgress"):
            job.polls_left -= 1
            job.state = "InProgress"
            if self.fails_with:
                job.state, job.error = "Failed", self.fails_with
            elif job.polls_left <= 0:
                self._run(job)
        return job

    def results(self, job: BulkJob, locator: str | None, max_records: int | None) -> tuple[str, int, str]:
        """CSV with a header, the rows in it, and the next locator, which is the word null at the end."""
        begin = int(base64.b64decode(locator)) if locator else 0
        end = begin + min(max_records or self.page_rows, self.page_rows)
        page = job.rows[begin:end]
        text = io.StringIO()
        writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
        if not begin or self.repeats_header:
            writer.writerow(job.header)
        writer.writerows(page)
        following = base64.b64encode(str(end).encode()).decode() if end < len(job.rows) else "null"
        return text.getvalue(), len(page), following

    def _run(self, job: BulkJob) -> None:
        try:
            statement = parse_soql(job.query, self.org)
        except SoqlError as error:  # a field went away since the job was made
            job.state, job.error = "Failed", f"{error.code}: {error}"
            return
        types = {one.name: one.type for one in self.org.objects[statement.sobject].fields}
        job.header = statement.fields
        job.rows = [
            [_to_cell(record.get(name), types[name]) for name in statement.fields]
            for record in statement.run(self.org, with_deleted=job.is_query_all)
        ]
        job.state = "JobComplete"


def _to_cell(value: Any, type: str) -> str:
    """As Bulk writes it, which for datetimes and numbers isn't as REST does."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if type == "datetime":
        return str(value).replace("+0000", "Z")
    return _to_java(float(value)) if type in ("currency", "double", "percent") else str(value)


def _to_java(number: float) -> str:
    """Java's Double.toString: an exponent from ten millions on."""
    if abs(number) < 1e7:
        return str(number)
    mantissa, _, exponent = f"{number:.15e}".partition("e")
    return f"{float(mantissa)}E{int(exponent)}"
