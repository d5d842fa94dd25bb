"""`/v1/jobs` of every service: all read the same operations database."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, FastAPI, Header, Path, Query, Request, Response
from fastapi.routing import APIRoute
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BeforeValidator
from starlette.types import Receive, Scope, Send

from shared.contracts import JobKind, JobState
from shared.errors import InvalidRequest
from shared.http.guarding import check_guards, guarded
from shared.http.job_reads import JobReads, to_job_response
from shared.http.problems import problem_responses
from shared.jobs.store import JobStore
from shared.jobs.view import JobPage, JobView
from shared.logging import current_request_id

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_POLL_SECONDS: Final = 0.5
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_WAIT: Final[dict[str, Any]] = {"description": "seconds, while the job has not ended", "schema": {"type": "integer"}}
_TAG: Final[dict[str, Any]] = {
    "description": "of the job's state: send it as If-None-Match",
    "schema": {"type": "string"},
}
_READ: Final[dict[int | str, dict[str, Any]]] = {200: {"headers": {"ETag": _TAG, "Retry-After": _WAIT}}}
_UNCHANGED: Final[dict[int | str, dict[str, Any]]] = {
    304: {"description": "The job is as the ETag says", "headers": {"ETag": _TAG}}
}

JobId = Annotated[str, Path(examples=["0195e7a2-4c1f-7c3e-9b1a-0123456789ab"])]


def _require_date(text: object) -> object:
    """Pydantic would take a number for seconds since 1970."""
    if isinstance(text, str) and _DATE.match(text) is None:
        raise ValueError("a moment such as 2026-11-01T00:00:00Z is wanted")
    return text


Moment = Annotated[datetime, BeforeValidator(_require_date)]


def _job_store(request: Request) -> JobStore:
    store: JobStore = request.app.state.store
    return store


async def _job_reads(request: Request) -> JobReads:
    reads: JobReads = request.app.state.job_reads
    return reads


Store = Annotated[JobStore, Depends(_job_store)]
Reads = Annotated[JobReads, Depends(_job_reads)]


async def require_job(job_id: JobId, reads: Reads) -> None:
    """Raises NotFound while that can still be the answer: a stream's 200 is sent before its first event is made."""
    await reads.get(job_id)


@router.get(
    "",
    operation_id="listJobs",
    summary="Jobs, newest first",
    responses=problem_responses(422),
    dependencies=guarded("read"),
)
def list_jobs(
    store: Store,
    kind: JobKind | None = None,
    state: JobState | None = None,
    created_after: Annotated[
        Moment | None, Query(description="UTC where it has no offset", examples=["2026-11-01T00:00:00Z"])
    ] = None,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> JobPage:
    return store.page(kind=kind, state=state, created_after=_to_utc(created_after), cursor=cursor, limit=limit)


@router.post(
    "/{job_id}/cancel",
    operation_id="cancelJob",
    summary="Stop a job at its next batch",
    description="A waiting job ends at once, a running one at its next batch, an ended one stays as it is.",
    responses=problem_responses(404),
    dependencies=guarded("run"),
)
def cancel_job(job_id: JobId, store: Store, request: Request) -> JobView:
    started = store.cancel(job_id, request_id=current_request_id(), actor=request.state.caller)
    request.app.state.dispatcher.dispatch(started.tickets)
    return started.job


@router.get(
    "/{job_id}/events",
    operation_id="followJob",
    summary="The job's progress as server-sent events, until it ends",
    description="`event: job`, whose data is the job as `getJob` gives it; one each time that something has changed.",
    response_class=EventSourceResponse,
    responses=problem_responses(404),
    dependencies=[*guarded("read"), Depends(require_job)],
)
async def follow_job(job_id: JobId, reads: Reads) -> AsyncIterator[ServerSentEvent]:
    previous = ""
    while True:
        job = await reads.get(job_id)
        if job.etag != previous:
            previous = job.etag
            yield ServerSentEvent(raw_data=job.content.decode(), event="job")
        if job.is_ended:
            return
        await asyncio.sleep(_POLL_SECONDS)


def _to_utc(moment: datetime | None) -> datetime | None:
    """Raises InvalidRequest for one whose UTC is outside of the calendar."""
    if moment is None:
        return None
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:
        raise InvalidRequest(
            "created_after: there is no such moment in UTC.", errors=[{"field": "created_after", "message": str(error)}]
        ) from error


async def get_job(
    job_id: JobId, request: Request, if_none_match: Annotated[str | None, Header(alias="If-None-Match")] = None
) -> Response:
    """As it is declared; `_PolledRoute` answers."""
    reads: JobReads = request.app.state.job_reads
    return to_job_response(await reads.get(job_id), if_none_match)


class _PolledRoute(APIRoute):
    """The route that is asked more often than all others together. Finding out what its function wants to be given
    takes FastAPI three times as long as looking the job up, so here that is written down."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "GET":
            await super().handle(scope, receive, send)  # 405
            return
        request = Request(scope, receive, send)
        await check_guards(request, self.dependencies)
        response = await get_job(scope["path_params"]["job_id"], request, request.headers.get("if-none-match"))
        await response(scope, receive, send)


def add_polling(app: FastAPI) -> None:
    """`GET /v1/jobs/{id}`, before all others: it is found first."""
    app.router.add_api_route(
        "/v1/jobs/{job_id}",
        get_job,
        methods=["GET"],
        operation_id="getJob",
        summary="One job",
        description="Poll it no sooner than `Retry-After` says, with the last `ETag` as `If-None-Match`.",
        tags=["jobs"],
        response_model=JobView,
        responses={**_READ, **_UNCHANGED, **problem_responses(404)},
        dependencies=guarded("read"),
        route_class_override=_PolledRoute,
    )
