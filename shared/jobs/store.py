"""Jobs as the APIs know them: start, read, list, cancel. The workers' side is `leases.py`."""

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa
from pydantic import BaseModel, ValidationError
from sqlalchemy.orm import Session

from shared.access.audit import AuditEvent, append_entry
from shared.access.callers import Caller
from shared.contracts import (
    TERMINAL_STATES,
    BuildRequest,
    JobKind,
    JobState,
    PipelineRequest,
    ScoringRequest,
    SyncRequest,
)
from shared.errors import InvalidRequest, NotFound
from shared.jobs.capacity import require_room
from shared.jobs.creation import Ticket, add_job, add_pipeline, children_of, first_ticket
from shared.jobs.transitions import end_job, lock_job, take_generation
from shared.jobs.view import JobPage, JobView, build_job_summary, build_job_view
from shared.operations.database import OperationsDatabase
from shared.operations.models import IdempotencyKey, Job

_REQUESTS: Final[dict[JobKind, type[BaseModel]]] = {
    JobKind.SYNC: SyncRequest,
    JobKind.BUILD: BuildRequest,
    JobKind.SCORING: ScoringRequest,
    JobKind.PIPELINE: PipelineRequest,
}


@dataclass(frozen=True)
class Started:
    """A committed job. `tickets` is empty when an earlier request with the same key had started it."""

    job: JobView
    tickets: list[Ticket]


class JobStore:
    """The rows behind the REST resource `/v1/jobs`. Each method is one transaction."""

    def __init__(self, database: OperationsDatabase) -> None:
        self._database = database

    def start(
        self,
        kind: JobKind,
        request: dict[str, Any],
        *,
        idempotency_key: str | None = None,
        request_id: str | None = None,
        queue_limit: int | None = None,
        actor: Caller | None = None,
    ) -> Started:
        """Commit a new job. The same actor, key and body give the job that the first call made.

        Who it is that starts it, `actor`, is written into the audit log with it.

        Raises:
            InvalidRequest: `idempotency-key-reused`, when the key came with another body before.
            Overloaded: `queue-full`, when `queue_limit` jobs wait already.
        """
        caller = actor.name if actor is not None else ""
        body = _without_defaults(kind, request)
        body_hash = hashlib.sha256(json.dumps([kind, body], sort_keys=True).encode()).hexdigest()
        try:
            with self._database.write() as session:
                if known := _find_key(session, caller, idempotency_key, kind):
                    return Started(_known_job(session, known, body_hash, body), [])
                if queue_limit is not None:
                    require_room(session, kind, queue_limit)
                now = self._database.now(session)
                job, tickets = _add(session, kind, request, now, request_id)
                session.flush()
                if idempotency_key:
                    of_caller = {"caller": caller, "key": idempotency_key, "operation": kind}
                    session.add(IdempotencyKey(**of_caller, body_hash=body_hash, job_id=job.id, created_at=now))
                    session.flush()
                if actor is not None:
                    detail = {"kind": kind.value}
                    event = AuditEvent("job.start", actor, job.id, 202, request_id, detail=detail)
                    append_entry(self._database, session, event)
                return Started(build_job_view(job, _children(session, job)), tickets)
        except sa.exc.IntegrityError:
            # Another request with this key committed between our look and our insert (PostgreSQL).
            with self._database.read() as session:
                known = session.get_one(IdempotencyKey, (caller, idempotency_key, kind))
                return Started(_known_job(session, known, body_hash, body), [])

    def has_started(self, kind: JobKind, idempotency_key: str, *, caller: str = "") -> bool:
        """Whether a start with this key was accepted before: then it is answered again, whatever has changed since."""
        with self._database.read() as session:
            return _find_key(session, caller, idempotency_key, kind) is not None

    def get(self, job_id: str) -> JobView:
        """Raises NotFound for an id that was never accepted."""
        with self._database.read() as session:
            job = session.get(Job, job_id)
            if job is None:
                raise unknown_job(job_id)
            return build_job_view(job, _children(session, job))

    def page(
        self,
        *,
        kind: JobKind | None = None,
        state: JobState | None = None,
        created_after: datetime | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> JobPage:
        """Newest first.

        Raises:
            InvalidRequest: `cursor-invalid`, for a cursor that no page gave.
        """
        query = sa.select(Job).order_by(Job.created_at.desc(), Job.id.desc()).limit(limit + 1)
        if kind:
            query = query.where(Job.kind == kind)
        if state:
            query = query.where(Job.state == state)
        if created_after:
            query = query.where(Job.created_at >= created_after)
        if cursor:
            moment, job_id = _parse_cursor(cursor)
            is_older = Job.created_at < moment
            query = query.where(sa.or_(is_older, sa.and_(Job.created_at == moment, Job.id < job_id)))
        with self._database.read() as session:
            jobs = session.scalars(query).all()
        page = jobs[:limit]
        next_cursor = _to_cursor(page[-1]) if len(jobs) > limit else None
        return JobPage(items=[build_job_summary(job) for job in page], next_cursor=next_cursor)

    def cancel(self, job_id: str, *, request_id: str | None = None, actor: Caller | None = None) -> Started:
        """A waiting job ends at once, a running one at its next batch, an ended one stays as it is.

        Who it is that ends it, `actor`, is written into the audit log, unless it was asked for before.
        """
        with self._database.write() as session:
            # Children before their parent, the order in which an ending child locks them: no deadlock.
            children = [lock_job(session, child.id) for child in children_of(session, job_id)]
            job = lock_job(session, job_id)
            if job is None:
                raise unknown_job(job_id)
            now = self._database.now(session)
            is_news = job.state not in TERMINAL_STATES and job.cancel_requested_at is None
            tickets: list[Ticket] = []
            for part in [job, *(child for child in children if child is not None)]:
                if part.state not in TERMINAL_STATES and part.cancel_requested_at is None:
                    part.cancel_requested_at = now
                    take_generation(session, part)
                if part.state == JobState.QUEUED and part.queue is not None and part.is_ready:
                    tickets += end_job(session, part, JobState.CANCELLED, now)
            session.flush()
            if actor is not None and is_news:
                event = AuditEvent("job.cancel", actor, job.id, 200, request_id, detail={"kind": job.kind})
                append_entry(self._database, session, event)
            return Started(build_job_view(job, _children(session, job)), tickets)


def _find_key(session: Session, caller: str, key: str | None, kind: JobKind) -> IdempotencyKey | None:
    """The caller's own; else one of a time when keys were everybody's."""
    if not key:
        return None
    return session.get(IdempotencyKey, (caller, key, kind)) or session.get(IdempotencyKey, ("", key, kind))


def _add(
    session: Session, kind: JobKind, request: dict[str, Any], now: datetime, request_id: str | None
) -> tuple[Job, list[Ticket]]:
    if kind == JobKind.PIPELINE:
        job = add_pipeline(session, PipelineRequest.model_validate(request), now, request_id=request_id)
    else:
        job = add_job(session, kind, request, now, request_id=request_id)
    session.flush()
    return job, [first_ticket(session, job)]


def _children(session: Session, job: Job) -> list[Job] | None:
    return list(children_of(session, job.id)) if job.kind == JobKind.PIPELINE else None


def _without_defaults(kind: JobKind, request: dict[str, Any]) -> dict[str, Any]:
    """What the caller asked for: a field that a release adds with a default changes no body that lacks it."""
    model = _REQUESTS.get(kind)
    try:
        return (
            request if model is None else model.model_validate(request).model_dump(mode="json", exclude_defaults=True)
        )
    except ValidationError:  # stored under other rules than today's
        return request


def _known_job(session: Session, known: IdempotencyKey, body_hash: str, body: dict[str, Any]) -> JobView:
    job = session.get_one(Job, known.job_id)
    # An earlier release hashed the defaults that it knew as well: its job tells what was asked.
    if known.body_hash != body_hash and _without_defaults(JobKind(job.kind), job.request) != body:
        raise InvalidRequest(
            f"Idempotency-Key {known.key!r} was used for another request body. Send a new key with a new request.",
            code="idempotency-key-reused",
            title="The idempotency key belongs to another request",
            job_id=known.job_id,
        )
    return build_job_view(job, _children(session, job))


def unknown_job(job_id: str) -> NotFound:
    """For an id that was never accepted."""
    return NotFound(
        f"No job has the id {job_id!r}. Ids come from the Location header of a start; GET /v1/jobs lists them.",
        code="job-not-found",
        title="Unknown job",
    )


def is_ended(job: JobView) -> bool:
    """Polling may stop."""
    return job.state in TERMINAL_STATES


def _to_cursor(job: Job) -> str:
    return base64.urlsafe_b64encode(f"{job.created_at.isoformat()}|{job.id}".encode()).decode()


def _parse_cursor(cursor: str) -> tuple[datetime, str]:
    try:
        stamp, _, job_id = base64.urlsafe_b64decode(cursor.encode()).decode().partition("|")
        moment = datetime.fromisoformat(stamp)
        if moment.tzinfo is None:
            raise ValueError("no time zone")
        return moment.astimezone(UTC), job_id
    except (ValueError, OverflowError) as error:  # binascii.Error is a ValueError
        raise InvalidRequest(
            "cursor is not one that a page gave as next_cursor. Leave it out to start at the newest.",
            code="cursor-invalid",
            title="Invalid cursor",
        ) from error
