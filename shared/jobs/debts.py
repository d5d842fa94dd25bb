"""What the job table owes Redis: the jobs that may lack a message."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

import sqlalchemy as sa

from shared.contracts import JobState
from shared.jobs.creation import Ticket
from shared.jobs.owner import current_place
from shared.operations.models import Job

CLOCK_SLACK: Final = timedelta(seconds=60)
"""By which clocks of machines may differ."""

_SWEPT_JOBS: Final = 500  # a queue and look; the next look takes those that were published no more


class Debts(NamedTuple):
    """What the job table owes: jobs that may lack a message, oldest first; jobs that wait, by queue; as of when."""

    tickets: list[Ticket]
    waiting: dict[str, int]
    at: datetime


def waiting_jobs(now: datetime) -> sa.Select[tuple[str | None, int]]:
    """Jobs that any worker may take, by queue."""
    waits = (Job.state == JobState.QUEUED, Job.is_ready, Job.queue.is_not(None), _is_due(now))
    return sa.select(Job.queue, sa.func.count()).where(*waits).group_by(Job.queue)


def neglected_jobs(queue: str, now: datetime, patience: timedelta, longest_lease: timedelta) -> sa.Select[tuple[Job]]:
    """Waiting jobs whose message is old, and running ones whose worker is silent, or of this host: look at it."""
    has_run_out = sa.or_(Job.lease_until <= now, Job.lease_until > now + longest_lease)
    is_silent = sa.or_(Job.lease_until.is_(None), has_run_out, Job.worker.startswith(current_place()))
    is_from_later = Job.dispatched_at > now + CLOCK_SLACK
    is_old = sa.or_(Job.dispatched_at.is_(None), Job.dispatched_at <= now - patience, is_from_later)
    is_neglected = sa.or_(
        sa.and_(Job.state == JobState.RUNNING, is_silent),
        sa.and_(Job.state == JobState.QUEUED, Job.is_ready, is_old, _is_due(now)),
    )
    query = sa.select(Job).where(Job.queue == queue, is_neglected).order_by(Job.created_at).limit(_SWEPT_JOBS)
    return query.with_for_update(skip_locked=True, key_share=True)


def lacks_message(job: Job, now: datetime, patience: timedelta) -> bool:
    """Of a job that is free: none was published for so long, or it was consumed by a worker that is gone."""
    if job.dispatched_at is None or job.dispatched_at <= now - patience:
        return True
    if job.dispatched_at > now + CLOCK_SLACK:
        return True
    went_with_its_worker = job.started_at is not None and job.dispatched_at <= job.started_at
    return job.state == JobState.RUNNING and went_with_its_worker


def _is_due(now: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(Job.due_at.is_(None), Job.due_at <= now)
