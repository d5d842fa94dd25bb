"""How a job looks to its caller: the JSON of `GET /v1/jobs/{id}`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from shared.contracts import JobKind, JobState
from shared.jobs.liveness import stalled_since
from shared.operations.models import Job
from shared.settings import operations_settings


class Progress(BaseModel):
    """How far a job is. `total` is null until it is known. `changed_at`: when its worker last got on, UTC."""

    phase: str | None
    done: int
    total: int | None
    unit: str | None
    changed_at: datetime | None


_EXAMPLE: JsonDict = {
    "id": "0195e7a2-4c1f-7c3e-9b1a-0123456789ab",
    "kind": "build",
    "state": "running",
    "progress": {"phase": "build", "done": 120, "total": 310, "unit": "nodes"},
    "request": {"select": None, "full_refresh": False, "retry_of": None, "load_id": None},
    "result": None,
    "error": None,
    "attempts": 1,
    "subject": None,
    "parent_id": None,
    "children": None,
    "created_at": "2026-11-23T06:00:00Z",
    "started_at": "2026-11-23T06:00:01Z",
    "finished_at": None,
}


class JobView(BaseModel):
    """One job. Times are UTC. `result` is set when it succeeded, `error` (RFC 9457) when it failed or is about to
    be tried again; a pipeline lists its children in their order."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: str
    kind: JobKind
    state: JobState
    progress: Progress
    request: dict[str, Any]
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    attempts: int = Field(description="how often a worker took it up since it last kept its place; at most three")
    subject: str | None
    parent_id: str | None
    children: list["JobView"] | None = None
    stalled_since: datetime | None = Field(
        description="set where it runs and nothing comes of it: nobody works on it since then (its worker is gone and "
        "no other is free), or its worker lives and has not got on for GTM_STALL_SECONDS"
    )
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobPage(BaseModel):
    """A page of jobs, newest first; results without their lists. `next_cursor` is null on the last page."""

    items: list[JobView]
    next_cursor: str | None


def build_job_summary(job: Job) -> JobView:
    """For lists of jobs: the result's counts without its own lists, such as the nodes that warned."""
    view = build_job_view(job)
    return view.model_copy(update={"result": _without_lists(view.result)})


def _without_lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_lists(item) for key, item in value.items() if not isinstance(item, list)}
    return value


def build_job_view(job: Job, children: Sequence[Job] | None = None) -> JobView:
    """`children` None leaves them out, as lists do."""
    return JobView(
        id=job.id,
        kind=JobKind(job.kind),
        state=JobState(job.state),
        progress=Progress(phase=job.phase, done=job.done, total=job.total, unit=job.unit, changed_at=job.progressed_at),
        request=job.request,
        result=job.result,
        error=job.error,
        attempts=job.attempts,
        subject=job.subject,
        parent_id=job.parent_id,
        children=None if children is None else [build_job_view(child) for child in children],
        stalled_since=stalled_since(job, datetime.now(UTC), operations_settings().stall_seconds),
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
    )
