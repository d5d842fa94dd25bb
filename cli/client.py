"""The REST API, one method per thing that `gtm` does with it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from cli.errors import ServiceUnreachable
from cli.models import BuildNode, BuildNodePage, FailedRows, FilesCheck, Job, JobPage, Lead, LeadPage, Readiness
from cli.settings import SERVICES, CliSettings, Endpoint, resolve_endpoints
from cli.transport import RETRY_WAITS_SECONDS, Transport, parse_answer, raise_for, wait_seconds

_PAGE_LIMIT: Final = 100
_CHECK_SECONDS: Final = 1800.0


@dataclass(frozen=True)
class Polled:
    """A job and how long its service asks to wait before the next look."""

    job: Job
    wait_seconds: float


class GtmClient:
    """All three services behind one object.

    Every method raises ServiceUnreachable (no answer), RequestRefused (4xx) or ServiceFailed (5xx, or an answer that is
    not ours).
    """

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        *,
        token: str | None = None,
        retry_waits: Sequence[float] = RETRY_WAITS_SECONDS,
    ) -> None:
        self.endpoints = dict(endpoints)
        self._http = Transport(endpoints, token=token, retry_waits=retry_waits)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def start(self, service: str, path: str, request: BaseModel) -> Polled:
        """POST a start; repeated by itself on connection errors and 503, never giving two jobs."""
        response = self._http.post(service, path, request.model_dump(mode="json"))
        return Polled(parse_answer(service, response, Job), wait_seconds(response))

    def check_files(self, request: BaseModel) -> FilesCheck:
        """What a sync would land and reject; the service reads all files before it answers."""
        body = request.model_dump(mode="json")
        response = self._http.post("ingest", "/v1/syncs/check", body, answer_seconds=_CHECK_SECONDS)
        return parse_answer("ingest", response, FilesCheck)

    def job(self, job_id: str) -> Polled:
        """One job, from whichever service answers."""
        path = f"/v1/jobs/{quote(job_id, safe='')}"
        service, response = self._from_any(lambda service: self._http.get(service, path))
        return Polled(parse_answer(service, response, Job), wait_seconds(response))

    def jobs(self, *, kind: str | None = None, state: str | None = None, limit: int = 20) -> JobPage:
        """The newest jobs; follows the cursor until `limit`."""
        items: list[Job] = []
        cursor: str | None = None
        while True:
            query = _query(kind=kind, state=state, limit=min(limit - len(items), _PAGE_LIMIT), cursor=cursor)
            service, response = self._list_jobs(query)
            page = parse_answer(service, response, JobPage)
            items += page.items
            cursor = page.next_cursor
            if cursor is None or not page.items or len(items) >= limit:
                return JobPage(items=items[:limit], next_cursor=cursor)

    def _list_jobs(self, query: Mapping[str, Any]) -> tuple[str, httpx.Response]:
        return self._from_any(lambda service: self._http.get(service, "/v1/jobs", query))

    def cancel(self, job_id: str) -> Job:
        """Ask a job to stop at its next batch; a finished job stays as it is."""
        path = f"/v1/jobs/{quote(job_id, safe='')}/cancel"
        service, response = self._from_any(lambda service: self._http.post(service, path, None))
        return parse_answer(service, response, Job)

    def build_nodes(self, build_id: str, *, statuses: Sequence[str] | None = None) -> BuildNodePage:
        """Every node of a build; follows the cursor to its end."""
        path = f"/v1/builds/{quote(build_id, safe='')}/nodes"
        items: list[BuildNode] = []
        cursor: str | None = None
        while True:
            query = _query(status=list(statuses) if statuses else None, limit=_PAGE_LIMIT, cursor=cursor)
            page = parse_answer("transform", self._http.get("transform", path, query), BuildNodePage)
            items += page.items
            cursor = page.next_cursor
            if cursor is None or not page.items:
                return BuildNodePage(items=items, next_cursor=None)

    def failed_rows(self, build_id: str, node: str, *, limit: int, offset: int) -> FailedRows:
        """Some of the rows that a test found in a build."""
        path = f"/v1/builds/{quote(build_id, safe='')}/nodes/{quote(node, safe='')}/rows"
        query = {"limit": limit, "offset": offset}
        return parse_answer("transform", self._http.get("transform", path, query), FailedRows)

    def leads(self, *, limit: int = 20, tier: str | None = None) -> LeadPage:
        """The leads with the highest scores; follows the cursor until `limit`."""
        items: list[Lead] = []
        cursor: str | None = None
        while True:
            query = _query(tier=tier, limit=min(limit - len(items), _PAGE_LIMIT), cursor=cursor)
            page = parse_answer("scoring", self._http.get("scoring", "/v1/leads", query), LeadPage)
            items += page.items
            cursor = page.next_cursor
            if cursor is None or not page.items or len(items) >= limit:
                return LeadPage(items=items[:limit], next_cursor=cursor)

    def lead(self, account_id: str) -> Lead:
        """One lead with its history."""
        return parse_answer("scoring", self._http.get("scoring", f"/v1/leads/{quote(account_id, safe='')}"), Lead)

    def readiness(self, service: str) -> Readiness:
        """What the service says of itself; an unavailable one (503) is an answer here, no error."""
        response = self._http.send(service, "GET", "/readyz")
        if response.status_code not in (200, 503):
            raise_for(service, self.endpoints[service].url, response)
        return parse_answer(service, response, Readiness)

    def _from_any(self, ask: Callable[[str], httpx.Response]) -> tuple[str, httpx.Response]:
        """All services read one operations database, so one that is down hides no job."""
        missing: ServiceUnreachable | None = None
        for service in SERVICES:
            try:
                return service, ask(service)
            except ServiceUnreachable as error:
                missing = missing or error
        assert missing is not None
        raise missing


def connect(settings: CliSettings) -> GtmClient:
    """A client for the services that the settings name; sends nothing yet."""
    token = settings.api_token.get_secret_value() if settings.api_token else None
    return GtmClient(resolve_endpoints(settings), token=token)


def _query(**parameters: Any) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}
