"""Webhook events in the operations database: stored once, then coalesced into one rescore per account, or into one
pipeline per source whose records they name."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.scoring.domain.webhooks import WebhookEvent
from shared.contracts import JobKind
from shared.jobs.creation import Ticket
from shared.jobs.refreshes import request_refresh
from shared.jobs.transitions import request_coalesced
from shared.jobs.view import JobView, build_job_view
from shared.operations.database import OperationsDatabase
from shared.operations.models import Job
from shared.operations.models import WebhookEvent as StoredEvent

_MOST_CONFLICTS = 2  # with who made the account's generation, then with who stored this event: both are there for good


@dataclass(frozen=True)
class Receipt:
    """What became of a delivery. `job` answers it: it may be one that waits already, for an earlier event."""

    outcome: Literal["accepted", "duplicate", "ignored"]
    job: JobView | None
    tickets: list[Ticket]


def receive_event(
    database: OperationsDatabase, source: str, event: WebhookEvent, *, delay_seconds: float = 0
) -> Receipt:
    """Store the event and ask for a rescore of its account, or for a pipeline that reads its records, in one
    transaction.

    A delivery of a known event id changes nothing, also while the first one is still being stored (PostgreSQL lets both
    look before either inserts). An event without either is stored and starts nothing. A new pipeline waits
    `delay_seconds` for further events.
    """
    delay = timedelta(seconds=delay_seconds)
    for _ in range(_MOST_CONFLICTS):
        with suppress(sa.exc.IntegrityError):
            return _receive_once(database, source, event, delay)
    return _receive_once(database, source, event, delay)


def _receive_once(database: OperationsDatabase, source: str, event: WebhookEvent, delay: timedelta) -> Receipt:
    with database.write() as session:
        known = session.get(StoredEvent, (source, event.event_id))
        if known is not None:
            job = session.get(Job, known.job_id) if known.job_id else None
            return Receipt("duplicate", build_job_view(job) if job else None, [])
        now = database.now(session)
        stored = StoredEvent(
            source=source,
            event_id=event.event_id,
            event_type=event.event_type,
            account_id=event.account_id,
            received_at=now,
            ignored_for=event.ignored_for,
        )
        asked = _ask(session, event, now, delay)
        if asked is None:
            session.add(stored)
            return Receipt("ignored", None, [])
        job, ticket = asked
        stored.job_id = job.id
        session.add(stored)
        session.flush()
        return Receipt("accepted", build_job_view(job), [ticket] if ticket else [])


def _ask(session: Session, event: WebhookEvent, now: datetime, delay: timedelta) -> tuple[Job, Ticket | None] | None:
    """For what follows from the event; None where nothing does."""
    if event.change is not None:
        due_at = now + delay if delay else None
        return request_refresh(session, event.change.source, event.change.object, event.change.record_ids, now, due_at)
    if event.account_id is not None:
        request = {"account_id": event.account_id}
        return request_coalesced(session, JobKind.RESCORE, event.account_id, request, now)
    return None
