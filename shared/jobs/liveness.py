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


def read_stalled(session: Session, now: datetime, stall_seconds: float) -> dict[str, tuple[str, datetime]]:
    """job id -> kind and since when: running jobs whose worker lives and that have not got on for so long."""
    long_ago = now - timedelta(seconds=stall_seconds)
    query = sa.select(Job.id, Job.kind, Job.progressed_at).where(
        Job.state == JobState.RUNNING, Job.queue.is_not(None), Job.progressed_at < long_ago
    )
    return {job_id: (kind, since) for job_id, kind, since in session.execute(query) if since is not None}
