"""One method per operation of the three APIs, named and typed as openapi/*.json has them (a test compares).

What is there for others is left out: webhooks (their senders sign), /metrics (Prometheus), pages for people.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from cli.models import BuildNodePage, FailedRows, FilesCheck, Job, JobPage, Lead, LeadPage, Readiness
from cli.transport import Transport, parse_answer, raise_for, wait_seconds
from shared.contracts import BuildRequest, JobKind, JobState, PipelineRequest, ScoringRequest, SyncRequest

_CHECK_SECONDS: Final = 1800.0


@dataclass(frozen=True)
class Polled:
    """A job, how long its service asks to wait before the next look, and the tag of what was seen."""

    job: Job
    wait_seconds: float
    etag: str | None = None


@dataclass(frozen=True)
class Event:
    """One server-sent event: `job` or `node`, and its JSON."""

    name: str
    data: str
    id: str | None = None


class Operations:
    """Each method is one call (a start may be repeated, with one idempotency key) and raises ServiceUnreachable (no
    answer), RequestRefused (4xx) or ServiceFailed (429, 5xx, or an answer that is not ours).

    Every service answers for jobs and its own health: there the first parameter says which one to ask.
    """

    def __init__(self, http: Transport) -> None:
        self._http = http

    def start_sync(self, body: SyncRequest, *, idempotency_key: str | None = None) -> Polled:
        return self._start("ingest", "/v1/syncs", body, idempotency_key)

    def start_pipeline(self, body: PipelineRequest, *, idempotency_key: str | None = None) -> Polled:
        return self._start("ingest", "/v1/pipelines", body, idempotency_key)

    def start_build(self, body: BuildRequest, *, idempotency_key: str | None = None) -> Polled:
        return self._start("transform", "/v1/builds", body, idempotency_key)

    def start_scoring(self, body: ScoringRequest, *, idempotency_key: str | None = None) -> Polled:
        return self._start("scoring", "/v1/scorings", body, idempotency_key)

    def check_files(self, body: SyncRequest) -> FilesCheck:
        """The service reads all files before it answers."""
        content = body.model_dump(mode="json")
        response = self._http.post("ingest", "/v1/syncs/check", content, answer_seconds=_CHECK_SECONDS)
        return parse_answer("ingest", response, FilesCheck)

    def get_job(self, service: str, job_id: str, *, if_none_match: str | None = None) -> Polled | None:
        """None: it is still as `if_none_match` says."""
        headers = {"If-None-Match": if_none_match} if if_none_match else None
        response = self._http.get(service, f"/v1/jobs/{_part(job_id)}", headers=headers)
        return None if response.status_code == httpx.codes.NOT_MODIFIED else _to_polled(service, response)

    def list_jobs(
        self,
        service: str,
        *,
        kind: JobKind | str | None = None,
        state: JobState | str | None = None,
        created_after: datetime | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> JobPage:
        moment = created_after.isoformat() if created_after else None
        query = _query(kind=kind, state=state, created_after=moment, cursor=cursor, limit=limit)
        return parse_answer(service, self._http.get(service, "/v1/jobs", query), JobPage)

    def cancel_job(self, service: str, job_id: str) -> Job:
        return parse_answer(service, self._http.post(service, f"/v1/jobs/{_part(job_id)}/cancel", None), Job)

    def follow_job(self, service: str, job_id: str) -> Iterator[Event]:
        """Until it ends, or the connection does."""
        return _read_events(self._http.stream(service, f"/v1/jobs/{_part(job_id)}/events"))

    def list_build_nodes(
        self,
        build_id: str,
        *,
        status: Sequence[str] | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> BuildNodePage:
        query = _query(status=list(status) if status else None, cursor=cursor, limit=limit)
        response = self._http.get("transform", f"/v1/builds/{_part(build_id)}/nodes", query)
        return parse_answer("transform", response, BuildNodePage)

    def list_failed_rows(self, build_id: str, node: str, *, limit: int = 50, offset: int = 0) -> FailedRows:
        path = f"/v1/builds/{_part(build_id)}/nodes/{_part(node)}/rows"
        return parse_answer(
            "transform", self._http.get("transform", path, {"limit": limit, "offset": offset}), FailedRows
        )

    def follow_build(self, build_id: str, *, last_event_id: str | None = None) -> Iterator[Event]:
        """Each node as it starts and ends; the last one is the job."""
        headers = {"Last-Event-ID": last_event_id} if last_event_id else None
        return _read_events(self._http.stream("transform", f"/v1/builds/{_part(build_id)}/events", headers))

    def list_leads(
        self,
        *,
        tier: str | None = None,
        min_score: int | None = None,
        include_inactive: bool = False,
        cursor: str | None = None,
        limit: int = 50,
    ) -> LeadPage:
        query = _query(
            tier=tier, min_score=min_score, include_inactive=include_inactive or None, cursor=cursor, limit=limit
        )
        return parse_answer("scoring", self._http.get("scoring", "/v1/leads", query), LeadPage)

    def get_lead(self, account_id: str) -> Lead:
        return parse_answer("scoring", self._http.get("scoring", f"/v1/leads/{_part(account_id)}"), Lead)

    def get_health(self, service: str) -> bool:
        """The process answers."""
        return self._http.get(service, "/healthz").is_success

    def get_readiness(self, service: str) -> Readiness:
        """An unavailable service (503) is an answer here, no error."""
        response = self._http.send(service, "GET", "/readyz")
        if response.status_code not in (httpx.codes.OK, httpx.codes.SERVICE_UNAVAILABLE):
            raise_for(service, self._http.endpoints[service].url, response)
        return parse_answer(service, response, Readiness)

    def _start(self, service: str, path: str, body: BaseModel, idempotency_key: str | None) -> Polled:
        content = body.model_dump(mode="json")
        return _to_polled(service, self._http.post(service, path, content, idempotency_key=idempotency_key))


def _to_polled(service: str, response: httpx.Response) -> Polled:
    return Polled(parse_answer(service, response, Job), wait_seconds(response), response.headers.get("ETag"))


def _read_events(lines: Iterator[str]) -> Iterator[Event]:
    """As the HTML standard has them; comments keep the connection alive."""
    fields: dict[str, str] = {}
    for line in lines:
        if line and not line.startswith(":"):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            fields[name] = f"{fields[name]}\n{value}" if name == "data" and name in fields else value
        elif not line and "data" in fields:
            yield Event(fields.get("event", "message"), fields["data"], fields.get("id"))
            fields = {}


def _part(text: str) -> str:
    """Of a path: what a caller names must not become another path."""
    return quote(text, safe="")


def _query(**parameters: Any) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}
