"""How a job's row moves: `queued -> running -> succeeded | failed | cancelled`, never back.

Every function works inside the caller's write transaction, and what one end sets in motion (the next child of a
pipeline, a rescore owed to events that came meanwhile) is committed with it: a crash has no moment to lose it in.
"""

from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared.contracts import TERMINAL_STATES, JobKind, JobState, RefreshRequest
from shared.jobs.creation import Ticket, add_job, add_refresh, children_of, first_ticket
from shared.operations.models import Generation, Job

PAUSE_AFTER_FAILURE: Final = timedelta(seconds=60)
PAUSE_BETWEEN_RESCORES: Final = timedelta(seconds=3)  # of one account, from start to start


def lock_job(session: Session, job_id: str) -> Job | None:
    """The row as it is now, held against other writers until the transaction ends (SQLite has one writer anyway).

    `key_share`: rows that refer to the job (webhook events, generations) may still be inserted meanwhile. A stronger
    lock would wait for them while they wait for it. `populate_existing`: who waited must not see what was before.
    """
    query = sa.select(Job).where(Job.id == job_id).with_for_update(key_share=True)
    return session.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()


def begin_job(session: Session, job: Job, now: datetime) -> None:
    """First claim: the job, and the pipeline around it, are running."""
    job.state = JobState.RUNNING
    job.started_at = job.started_at or now
    parent = lock_job(session, job.parent_id) if job.parent_id else None
    if parent is not None and parent.state == JobState.QUEUED:
        parent.state = JobState.RUNNING
        parent.started_at = now
        parent.phase, parent.total, parent.unit = job.kind, len(children_of(session, parent.id)), "jobs"


def note_progress(session: Session, job_id: str) -> None:
    """The running job has kept a place from which another attempt goes on: attempts count from here anew.

    So a load of hours outlives more than three restarts, and a job that doesn't get on still fails after three.
    """
    session.execute(sa.update(Job).where(Job.id == job_id).values(attempts=1))


def end_job(
    session: Session,
    job: Job,
    state: JobState,
    now: datetime,
    *,
    result: dict[str, Any] | None = None,
    error: dict[str, Any] | None = None,
) -> list[Ticket]:
    """Write the terminal state and what follows from it. An ended job stays as it is."""
    if job.state in TERMINAL_STATES:
        return []
    job.state = state
    job.result, job.error = result, error
    job.finished_at = now
    job.started_at = job.started_at or (now if state != JobState.CANCELLED else None)
    job.lease_until = job.worker = None
    if state == JobState.SUCCEEDED and job.total is not None:
        job.done = job.total
    session.flush()
    return [*_advance_pipeline(session, job, now), *_start_owed(session, job, now), *_call_next(session, job)]


def _advance_pipeline(session: Session, child: Job, now: datetime) -> list[Ticket]:
    parent = lock_job(session, child.parent_id) if child.parent_id else None
    if parent is None or parent.state in TERMINAL_STATES:
        return []
    siblings = children_of(session, parent.id)
    parent.done = sum(sibling.state == JobState.SUCCEEDED for sibling in siblings)
    if child.state == JobState.SUCCEEDED:
        following = next((job for job in siblings if job.position == child.position + 1), None)
        if following is None:
            results = {job.kind: job.result for job in siblings}
            return end_job(session, parent, JobState.SUCCEEDED, now, result=results)
        following.is_ready, following.dispatched_at = True, now
        parent.phase = following.kind
        return [Ticket(following.id, JobKind(following.kind))]
    for sibling in siblings:
        if sibling.state not in TERMINAL_STATES:
            sibling.state, sibling.finished_at = JobState.CANCELLED, now
            sibling.phase = f"not started: the {child.kind} before it {child.state}"
    error = None if child.error is None else {**child.error, "child_id": child.id, "child_kind": child.kind}
    return end_job(session, parent, JobState(child.state), now, error=error)


def request_coalesced(
    session: Session,
    kind: JobKind,
    subject: str,
    request: dict[str, Any],
    now: datetime,
    *,
    due_at: datetime | None = None,
) -> tuple[Job, Ticket | None]:
    """At most one waiting job per subject; a request that comes while one runs is owed one more job afterwards.

    Gives the job that will answer this request (it may be running: then its successor will) and, if new and due, its
    ticket. A pipeline asked for in this way is a refresh.
    """
    # `populate_existing`: a caller may have read the row before, without its lock.
    generation = session.get(Generation, (kind, subject), with_for_update=True, populate_existing=True)
    if generation is None:
        generation = Generation(kind=kind, subject=subject, requested=0, taken=0)
        session.add(generation)
    generation.requested += 1
    live = session.get(Job, generation.job_id) if generation.job_id else None
    if live is not None and live.state not in TERMINAL_STATES:
        return live, None
    job, tickets = _add_coalesced(session, kind, subject, request, now, _not_before(live, now, due_at))
    generation.job_id = job.id
    return job, next(iter(tickets), None)


def _add_coalesced(
    session: Session, kind: JobKind, subject: str, request: dict[str, Any], now: datetime, due_at: datetime | None
) -> tuple[Job, list[Ticket]]:
    if kind == JobKind.PIPELINE:
        job = add_refresh(session, RefreshRequest.model_validate(request), now, due_at)
    else:
        job = add_job(session, kind, request, now, subject=subject, due_at=due_at)
    session.flush()
    return job, [first_ticket(session, job)] if due_at is None else []


def _not_before(last: Job | None, now: datetime, due_at: datetime | None) -> datetime | None:
    """A refresh that failed is not followed at once by the next one: what it met is mostly there a while longer. Nor is
    a rescore: an account of which a hundred events tell is worth few runs, however short they are."""
    earliest = now
    if last is not None and last.kind == JobKind.PIPELINE and last.state == JobState.FAILED and last.finished_at:
        earliest = last.finished_at + PAUSE_AFTER_FAILURE
    elif last is not None and last.kind == JobKind.RESCORE and last.state == JobState.SUCCEEDED and last.started_at:
        earliest = last.started_at + PAUSE_BETWEEN_RESCORES
    return max(earliest, due_at or now) if earliest > now else due_at


def take_generation(session: Session, job: Job) -> None:
    """What was requested until now is settled: answered by the run that claims, or not wanted by who cancels.

    A claim calls it before anything is read; what comes later is owed one more job. A pipeline is claimed with its
    first child.
    """
    asked = session.get(Job, job.parent_id) if job.parent_id is not None and job.position == 0 else job
    if asked is not None and asked.subject is not None:
        generation = session.get(Generation, (asked.kind, asked.subject), with_for_update=True)
        if generation is not None:
            generation.taken = generation.requested


def _call_next(session: Session, job: Job) -> list[Ticket]:
    """Where one job of a lane runs at a time, its end is the turn of the one that waits longest."""
    if job.lane is None:
        return []
    is_due = sa.or_(Job.due_at.is_(None), Job.due_at <= (job.finished_at or job.created_at))
    waiting = sa.select(Job.id).where(Job.lane == job.lane, Job.state == JobState.QUEUED, Job.is_ready, is_due)
    following = session.execute(waiting.order_by(Job.created_at, Job.id).limit(1)).scalar_one_or_none()
    return [Ticket(following, JobKind(job.kind))] if following is not None else []


def _start_owed(session: Session, job: Job, now: datetime) -> list[Ticket]:
    if job.subject is None:
        return []
    generation = session.get(Generation, (job.kind, job.subject), with_for_update=True)
    if generation is None or generation.job_id != job.id or generation.requested <= generation.taken:
        return []
    due_at = _not_before(job, now, None)
    successor, tickets = _add_coalesced(session, JobKind(job.kind), job.subject, job.request, now, due_at)
    generation.job_id = successor.id
    return tickets
