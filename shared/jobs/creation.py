"""New jobs: their rows, a pipeline's with its children's. The caller commits."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared.contracts import (
    TASKS,
    BuildRequest,
    JobKind,
    JobState,
    PipelineRequest,
    RefreshRequest,
    SyncRequest,
    lane_of,
)
from shared.logging import current_request_id
from shared.operations.models import Job

_NARROWING: Final = ("objects", "since", "until", "records")


@dataclass(frozen=True)
class Ticket:
    """A job that a message should be published for. Losing it costs time, not the job: the sweeper makes another."""

    job_id: str
    kind: JobKind
    is_urgent: bool = False
    """It was taken up before: it goes on ahead of all that has yet to begin."""


def add_job(
    session: Session,
    kind: JobKind,
    request: dict[str, Any],
    now: datetime,
    *,
    request_id: str | None = None,
    subject: str | None = None,
    parent: Job | None = None,
    position: int = 0,
    due_at: datetime | None = None,
) -> Job:
    """A queued job; only a pipeline's first child is ready at once. `due_at`: no worker takes it before. `request_id`:
    where none is given, that of the request or job in which it is made, so that a chain of jobs is found by one id."""
    job = Job(
        id=str(uuid.uuid4()),
        kind=kind,
        queue=TASKS[kind][1] if kind in TASKS else None,
        request=request,
        request_id=request_id or current_request_id(),
        subject=subject,
        lane=lane_of(kind, request),
        state=JobState.QUEUED,
        is_ready=position == 0,
        parent_id=parent.id if parent else None,
        position=position,
        created_at=now,
        dispatched_at=now if position == 0 and due_at is None else None,
        due_at=due_at,
        done=0,
        attempts=0,
        fence=0,
    )
    session.add(job)
    return job


def add_pipeline(session: Session, request: PipelineRequest, now: datetime, *, request_id: str | None) -> Job:
    """A pipeline and its three children, of which the first is ready."""
    job = add_job(session, JobKind.PIPELINE, request.model_dump(mode="json"), now, request_id=request_id)
    session.flush()
    steps = ((JobKind.SYNC, request.sync), (JobKind.BUILD, request.build), (JobKind.SCORING, request.scoring))
    for position, (kind, part) in enumerate(steps):
        content = part.model_dump(mode="json")
        add_job(session, kind, content, now, request_id=request_id, parent=job, position=position)
    return job


def add_refresh(session: Session, request: RefreshRequest, now: datetime, due_at: datetime | None) -> Job:
    """A pipeline for changed records. Its scoring is a rescore, which waits behind no batch."""
    content = request.model_dump(mode="json", exclude={"records"})
    job = add_job(session, JobKind.PIPELINE, content, now, subject=request.source, due_at=due_at)
    session.flush()
    sync = SyncRequest(source=request.source, mode="records", **_as_last_time(session, request.source))
    landing = add_job(session, JobKind.SYNC, sync.model_dump(mode="json"), now, parent=job, due_at=due_at)
    session.flush()
    build = BuildRequest(load_id=landing.id).model_dump(mode="json")
    add_job(session, JobKind.BUILD, build, now, parent=job, position=1)
    add_job(session, JobKind.RESCORE, {"load_id": landing.id}, now, parent=job, position=2)
    return job


def _as_last_time(session: Session, source: str) -> dict[str, Any]:
    """What the last sync of the source was told of fields holds for single records, too; not what narrowed it."""
    lane = lane_of(JobKind.SYNC, {"source": source})
    query = sa.select(Job.request).where(Job.lane == lane, Job.request["mode"].as_string() != "records")
    last = session.execute(query.order_by(Job.created_at.desc(), Job.id.desc()).limit(1)).scalar_one_or_none() or {}
    kept = {name: value for name, value in last.get("options", {}).items() if name not in _NARROWING}
    policy = {"on_schema_change": last["on_schema_change"]} if "on_schema_change" in last else {}
    return {"options": kept, **policy}


def children_of(session: Session, job_id: str) -> Sequence[Job]:
    """In their order."""
    return session.scalars(sa.select(Job).where(Job.parent_id == job_id).order_by(Job.position)).all()


def first_ticket(session: Session, job: Job) -> Ticket:
    """Of the job, or of the pipeline's child that does the first part of it."""
    first = children_of(session, job.id)[0] if job.kind == JobKind.PIPELINE else job
    return Ticket(first.id, JobKind(first.kind))
