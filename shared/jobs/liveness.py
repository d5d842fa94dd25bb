"""Whether what must be at work is at work: the sweeper, and jobs that run (docs/adr/0016)."""

from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from shared.contracts import JobState
from shared.jobs.owner import current_owner
from shared.operations.life_models import SignOfLife
from shared.operations.models import Job

SWEEPER: Final = "sweeper"
SWEEPER_IS_LATE_SECONDS: Final = 30.0  # it looks once a second
_TAKEN_UP_WITHIN: Final = timedelta(seconds=5)  # of a lease's end, where a worker is free; clocks may differ by as much


def note_sweep(session: Session, now: datetime) -> None:
    """This process has looked, in the transaction in which it did. Of two sweepers the second waits its turn here."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    seen = {"at": now, "owner": current_owner()}
    statement = insert(SignOfLife).values(role=SWEEPER, **seen)
    session.execute(statement.on_conflict_do_update(index_elements=[SignOfLife.role], set_=seen))


def read_sweep_age(session: Session, now: datetime) -> float | None:
    """Seconds since any sweeper last looked; None: none ever did."""
    last = session.execute(sa.select(SignOfLife.at).where(SignOfLife.role == SWEEPER)).scalar_one_or_none()
    return None if last is None else max(0.0, (now - last).total_seconds())


def stalled_since(job: Job, now: datetime, stall_seconds: float) -> datetime | None:
    """Since when nothing comes of a running job: nobody holds it, or who does has not got on for `stall_seconds`."""
    if job.state != JobState.RUNNING or job.queue is None:
        return None
    if job.lease_until is not None and job.lease_until < now - _TAKEN_UP_WITHIN:
        return job.lease_until
    if job.progressed_at is not None and job.progressed_at < now - timedelta(seconds=stall_seconds):
        return job.progressed_at
    return None


def read_stalled(session: Session, now: datetime, stall_seconds: float) -> dict[str, tuple[str, datetime]]:
    """job id -> kind and since when, of all for which `stalled_since` tells a time."""
    nothing_came = Job.progressed_at < now - timedelta(seconds=stall_seconds)
    nobody_holds = Job.lease_until < now - _TAKEN_UP_WITHIN
    query = sa.select(Job).where(
        Job.state == JobState.RUNNING, Job.queue.is_not(None), sa.or_(nothing_came, nobody_holds)
    )
    found = {job.id: (job.kind, stalled_since(job, now, stall_seconds)) for job in session.scalars(query)}
    return {job_id: (kind, since) for job_id, (kind, since) in found.items() if since is not None}
