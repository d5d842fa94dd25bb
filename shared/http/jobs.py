"""`/v1/jobs` of every service: all read the same operations database."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from shared.contracts import JobKind, JobState
from shared.http.access import require_caller
from shared.http.problems import problem_responses
from shared.jobs.store import JobStore, is_ended
from shared.jobs.view import JobPage, JobView

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], dependencies=[Depends(require_caller)])

_POLL_SECONDS = 0.5


def job_store(request: Request) -> JobStore:
    """The app's store."""
    store: JobStore = request.app.state.store
    return store


Store = Annotated[JobStore, Depends(job_store)]


def require_job(job_id: str, store: Store) -> None:
    """Raises NotFound while that can still be the answer: a stream's 200 is sent before its first event is made."""
    store.get(job_id)


@router.get("", operation_id="listJobs", summary="Jobs, newest first", responses=problem_responses(401, 422))
def list_jobs(
    store: Store,
    kind: JobKind | None = None,
    state: JobState | None = None,
    created_after: Annotated[datetime | None, Query(description="UTC where it has no offset")] = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> JobPage:
    return store.page(kind=kind, state=state, created_after=_to_utc(created_after), cursor=cursor, limit=limit)


@router.get("/{job_id}", operation_id="getJob", summary="One job", responses=problem_responses(401, 404))
def get_job(job_id: str, store: Store, response: Response) -> JobView:
    job = store.get(job_id)
    if not is_ended(job):
        response.headers["Retry-After"] = "1"
    return job


@router.post(
    "/{job_id}/cancel",
    operation_id="cancelJob",
    summary="Stop a job at its next batch",
    responses=problem_responses(401, 404),
)
def cancel_job(job_id: str, store: Store, request: Request) -> JobView:
    started = store.cancel(job_id)
    request.app.state.dispatcher.dispatch(started.tickets)
    return started.job


@router.get(
    "/{job_id}/events",
    operation_id="followJob",
    summary="The job's progress as server-sent events, until it ends",
    response_class=EventSourceResponse,
    responses=problem_responses(401, 404),
    dependencies=[Depends(require_job)],
)
async def follow_job(job_id: str, store: Store) -> AsyncIterator[ServerSentEvent]:
    previous = ""
    while True:
        job = await asyncio.to_thread(store.get, job_id)
        current = job.model_dump_json()
        if current != previous:
            previous = current
            yield ServerSentEvent(raw_data=current, event="job")
        if is_ended(job):
            return
        await asyncio.sleep(_POLL_SECONDS)


def _to_utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
