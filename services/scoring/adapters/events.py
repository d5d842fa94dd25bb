"""Webhook events in the operations database: stored once, then coalesced into one rescore per account, or into one
pipeline per source whose records they name."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from services.scoring.domain.webhooks import WebhookEvent
from shared.access.audit import AuditEvent, append_entry
from shared.access.callers import Caller
from shared.contracts import JobKind
from shared.jobs.capacity import require_room_for_events
from shared.jobs.creation import Ticket
from shared.jobs.refreshes import request_refresh
from shared.jobs.transitions import request_coalesced
from shared.jobs.view import JobView, build_job_view
from shared.logging import current_request_id
from shared.operations.database import OperationsDatabase
from shared.operations.models import Job
from shared.operations.models import WebhookEvent as StoredEvent

Outcome = Literal["accepted", "duplicate", "ignored"]
_MOST_CONFLICTS = 2  # over an account's or a source's generation, which whoever was first has made by then


@dataclass
class Receipt:
    """What became of a delivery, event by event. `jobs` answer it: some may wait already, for earlier events."""

    outcomes: list[Outcome] = field(default_factory=list)
    jobs: list[JobView] = field(default_factory=list)
    tickets: list[Ticket] = field(default_factory=list)

    @property
    def counts(self) -> Counter[Outcome]:
        return Counter(self.outcomes)


def receive_events(
    database: OperationsDatabase,
    sender: str,
    events: Sequence[WebhookEvent],
    *,
    delay_seconds: float = 0,
    limit: int | None = None,
    actor: Caller | None = None,
) -> Receipt:
    """Store the events and ask for a rescore of their accounts, or for a pipeline that reads their records, all in one
    transaction.

    A delivery of a known event id changes nothing, also while the first one is still being stored. An event that names
    neither is stored and starts nothing. A new pipeline waits `delay_seconds` for further events. Jobs that are new are
    written into the audit log as started by `actor`.

    Raises:
        Overloaded: `events-full`, when `limit` accounts or records wait already: nothing of the call was stored.
    """
    delay = timedelta(seconds=delay_seconds)
    for _ in range(_MOST_CONFLICTS):
        with suppress(sa.exc.IntegrityError):
            return _receive_once(database, sender, events, delay, limit, actor)
    return _receive_once(database, sender, events, delay, limit, actor)


def _receive_once(
    database: OperationsDatabase,
    sender: str,
    events: Sequence[WebhookEvent],
    delay: timedelta,
    limit: int | None,
    actor: Caller | None,
) -> Receipt:
    with database.write() as session:
        if limit is not None:
            require_room_for_events(session, limit)
        now = database.now(session)
        fresh = _store(session, sender, events, now)
        receipt = Receipt()
        for event in events:
            is_fresh = fresh.pop(event.event_id, None) is not None
            receipt.outcomes.append(_to_outcome(event) if is_fresh else "duplicate")
        news = [event for event, outcome in zip(events, receipt.outcomes, strict=True) if outcome == "accepted"]
        jobs = _ask(session, sender, news, (now, now + delay if delay else None), receipt.tickets)
        known = [event.event_id for event, got in zip(events, receipt.outcomes, strict=True) if got == "duplicate"]
        jobs += _read_jobs(session, sender, known) if not jobs else []
        answering = list({job.id: job for job in jobs}.values())
        receipt.jobs = [build_job_view(job) for job in answering]
        if actor is not None:
            _record(database, session, [job for job in answering if job.created_at == now], sender, actor)
        return receipt


def _record(database: OperationsDatabase, session: Session, jobs: Sequence[Job], sender: str, actor: Caller) -> None:
    for job in jobs:
        detail = {"kind": job.kind, "sender": sender}
        event = AuditEvent("job.start", actor, job.id, 202, current_request_id(), detail=detail)
        append_entry(database, session, event)


def _to_outcome(event: WebhookEvent) -> Outcome:
    return "accepted" if event.account_id is not None or event.changes else "ignored"


def _store(session: Session, sender: str, events: Iterable[WebhookEvent], now: datetime) -> dict[str, WebhookEvent]:
    """By id, those that nobody has delivered before. Stored in one order: so deliveries wait, and don't deadlock."""
    by_id = {event.event_id: event for event in reversed(list(events))}
    rows = [_to_row(sender, by_id[event_id], now) for event_id in sorted(by_id)]
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    table: sa.Table = StoredEvent.__table__  # type: ignore[assignment]  # a mapped class's table is a Table
    statement = insert(table).on_conflict_do_nothing().returning(table.c.event_id)
    # Past the ORM, which would compile a statement of a hundred rows anew each time: 20 ms instead of 4.
    return {event_id: by_id[event_id] for event_id in session.connection().execute(statement, rows).scalars()}


def _to_row(sender: str, event: WebhookEvent, now: datetime) -> dict[str, Any]:
    single = event.changes[0] if len(event.changes) == 1 and len(event.changes[0].record_ids) == 1 else None
    return {
        "source": sender,
        "event_id": event.event_id,
        "event_type": event.event_type,
        "account_id": event.account_id,
        "object": single.object if single else None,
        "record_id": single.record_ids[0] if single else None,
        "occurred_at": event.occurred_at,
        "received_at": now,
        "ignored_for": event.ignored_for,
    }


def _ask(
    session: Session,
    sender: str,
    events: Sequence[WebhookEvent],
    when: tuple[datetime, datetime | None],
    tickets: list[Ticket],
) -> list[Job]:
    """For what follows from the events: at most one job a source and account. Their rows then name it."""
    now, due_at = when
    records: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    asking: dict[tuple[str, str], list[str]] = defaultdict(list)  # (source or account, which) -> events
    for event in events:
        for change in event.changes:
            records[change.source][change.object] += change.record_ids
            asking["source", change.source].append(event.event_id)
        if event.account_id is not None:
            asking["account", event.account_id].append(event.event_id)
    jobs = []
    for (kind, subject), event_ids in sorted(asking.items(), reverse=True):  # sources first; each in one order
        if kind == "source":
            job, ticket = request_refresh(session, subject, records[subject], now, due_at)
        else:
            job, ticket = request_coalesced(session, JobKind.RESCORE, subject, {"account_id": subject}, now)
        session.flush()
        named = StoredEvent.event_id.in_(event_ids)
        session.execute(sa.update(StoredEvent).where(StoredEvent.source == sender, named).values(job_id=job.id))
        tickets += [ticket] if ticket is not None else []
        jobs.append(job)
    return jobs


def _read_jobs(session: Session, sender: str, event_ids: Sequence[str]) -> list[Job]:
    """That the first deliveries of these events asked for."""
    asked = sa.select(StoredEvent.job_id).where(StoredEvent.source == sender, StoredEvent.event_id.in_(event_ids))
    return list(session.scalars(sa.select(Job).where(Job.id.in_(asked)).order_by(Job.created_at, Job.id)))
