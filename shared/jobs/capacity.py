"""How much may wait: what comes beyond it is refused, so that its sender waits instead of the operations database."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared.contracts import TASKS, JobKind, JobState
from shared.errors import Overloaded
from shared.operations.models import ChangedRecord, Job

_RETRY_SECONDS: Final = 30
_PARTS: Final = (JobKind.SYNC, JobKind.BUILD, JobKind.SCORING)  # of a pipeline


def require_room(session: Session, kind: JobKind, limit: int) -> None:
    """Before a start. On PostgreSQL, starts at the same moment may pass the limit by as many as they are.

    Raises:
        Overloaded: `queue-full`, when as many jobs wait in the kind's queue, or in one of a pipeline's.
    """
    for part in _PARTS if kind == JobKind.PIPELINE else (kind,):
        queue = TASKS[part][1]
        if _count(session, sa.select(Job.id).where(Job.queue == queue, Job.state == JobState.QUEUED), limit) >= limit:
            raise Overloaded(
                f"{limit} jobs wait in the queue {queue!r} already. Try again later, start more of its workers, or "
                "raise GTM_QUEUE_LIMIT.",
                code="queue-full",
                title="Too many jobs wait",
                retry_after=_RETRY_SECONDS,
            )


def require_room_for_events(session: Session, limit: int) -> None:
    """Before events are stored. What they ask for is coalesced, one job an account and one row a record, so this is
    reached by very many accounts or records, or by a system that stands still.

    Raises:
        Overloaded: `events-full`; senders repeat what was refused.
    """
    queue = TASKS[JobKind.RESCORE][1]
    waiting = sa.select(Job.id).where(Job.queue == queue, Job.state == JobState.QUEUED)
    for query in (waiting, sa.select(ChangedRecord.record_id)):
        if _count(session, query, limit) >= limit:
            raise Overloaded(
                f"{limit} accounts or records wait to be read again already, so the events were not taken. Send them "
                "again later. Operators: look why the workers don't get on, or raise GTM_EVENT_LIMIT.",
                code="events-full",
                title="Too many events wait",
                retry_after=_RETRY_SECONDS,
            )


def _count(session: Session, query: sa.Select[tuple[str]], limit: int) -> int:
    """At most `limit`: nobody needs to know by how much it is passed."""
    return session.execute(sa.select(sa.func.count()).select_from(query.limit(limit).subquery())).scalar_one()
