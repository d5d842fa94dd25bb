"""Jobs as the workers know them: claim, beat, end. Every write carries the fence that the claim gave.

A claim raises the fence, so whoever held the job before can't write its row any more (ADR 0003).
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared.contracts import QUEUES, JobKind, JobState
from shared.errors import GtmError
from shared.jobs.creation import Ticket
from shared.jobs.debts import CLOCK_SLACK, Debts, lacks_message, neglected_jobs, waiting_jobs
from shared.jobs.last_errors import TOO_LONG, to_exhausted
from shared.jobs.liveness import note_sweep
from shared.jobs.owner import current_owner, current_place, is_known_dead
from shared.jobs.transitions import begin_job, end_job, lock_job, take_generation
from shared.operations.database import OperationsDatabase
from shared.operations.models import Job
from shared.settings import OperationsSettings

_FIRST_BACKOFF_SECONDS = 2.0


@dataclass(frozen=True)
class Claim:
    """The right to work on a job, until a higher fence exists."""

    job_id: str
    kind: JobKind
    fence: int
    attempt: int
    request: dict[str, Any]
    request_id: str | None
    subject: str | None


@dataclass(frozen=True)
class Beat:
    """What a worker learns when it reports."""

    is_held: bool
    is_cancel_requested: bool


class Leases:
    """The protocol between workers, and between a worker and the sweeper. Each method is one transaction."""

    def __init__(self, database: OperationsDatabase, settings: OperationsSettings) -> None:
        self._database = database
        self._settings = settings

    def claim(self, job_id: str) -> tuple[Claim | None, list[Ticket]]:
        """Take a queued job, or a running one whose worker is gone.

        Gives no claim when someone else works on it, when it has ended, when its caller cancelled it, or when it was
        taken up `max_attempts` times already (then it fails, with the last error it met). Nor while another job of its
        lane runs: it stays queued, and the end of the other one gives its ticket.
        """
        with self._database.write() as session:
            job = lock_job(session, job_id)
            now = self._database.now(session)
            if job is None or not self._is_free(job, now):
                return None, []
            if (tickets := self._end_if_due(session, job, now)) is not None:
                return None, tickets
            if job.state == JobState.QUEUED and self._must_wait(session, job):
                return None, []
            begin_job(session, job, now)
            take_generation(session, job)
            job.fence += 1
            job.attempts += 1
            job.worker = current_owner()
            job.lease_until = now + timedelta(seconds=self._settings.lease_seconds)
            job.progressed_at = now
            claim = Claim(job.id, JobKind(job.kind), job.fence, job.attempts, job.request, job.request_id, job.subject)
            return claim, []

    def beat(self, claim: Claim, progress: dict[str, Any] | None = None, *, got_on: bool = False) -> Beat:
        """Renew the lease and, if given, write `phase`, `done`, `total`, `unit`.

        `got_on`: the flow is further than it was. A heartbeat alone says that the process lives, and no more.
        """
        with self._database.write() as session:
            now = self._database.now(session)
            lease_until = now + timedelta(seconds=self._settings.lease_seconds)
            held = _held(claim)
            if got_on:
                progress = {**(progress or {}), "progressed_at": now}
            cancel = session.execute(
                sa.update(Job)
                .where(*held)
                .values(lease_until=lease_until, **(progress or {}))
                .returning(Job.cancel_requested_at)
            ).one_or_none()
            return Beat(is_held=cancel is not None, is_cancel_requested=bool(cancel and cancel[0]))

    def end(
        self,
        claim: Claim,
        state: JobState,
        *,
        result: dict[str, Any] | None = None,
        error: dict[str, Any] | None = None,
    ) -> list[Ticket] | None:
        """Write the terminal state. None when the job is no longer this worker's: then nothing was written."""
        with self._database.write() as session:
            job = _lock_held(session, claim)
            if job is None:
                return None
            return end_job(session, job, state, self._database.now(session), result=result, error=error)

    def hand_back(self, claim: Claim, error: GtmError | None, *, is_counted: bool = True) -> list[Ticket] | None:
        """Give up the lease so that another attempt follows: after a backoff for an error, at once without one.

        The last attempt ends the job instead, unless it is not counted (a stopped worker, a slice of a long job that
        got on). None when the job is no longer this worker's.
        """
        with self._database.write() as session:
            job = _lock_held(session, claim)
            if job is None:
                return None
            now = self._database.now(session)
            job.worker = None
            job.fence += 1  # a late heartbeat of this worker must not take the lease again
            if not is_counted:
                job.attempts -= 1
            if error is None and job.attempts < self._settings.max_attempts:
                job.lease_until = job.dispatched_at = now
                return [Ticket(job.id, JobKind(job.kind), is_urgent=True)]
            job.error = (error or TOO_LONG).to_problem()
            if job.attempts >= self._settings.max_attempts:
                return end_job(session, job, JobState.FAILED, now, error=to_exhausted(job, job.error))
            # Jobs that met one refusal together (a lock with 20 waiters) must not come back together.
            longest = _FIRST_BACKOFF_SECONDS * 2 ** (job.attempts - 1)
            spread = random.uniform(0.6, 1)  # nosec B311: it spreads retries and keeps no secret
            job.lease_until = now + timedelta(seconds=longest * spread)
            return []

    def release_dead(self, job_id: str) -> bool:
        """Its holder is known to be gone, which other machines can't see: let its lease end now. It was an attempt."""
        with self._database.write() as session:
            job = lock_job(session, job_id)
            if job is None or job.state != JobState.RUNNING or not is_known_dead(job.worker):
                return False
            job.lease_until = self._database.now(session)
            job.dispatched_at = None
            return True

    def note_overdue(self, job_id: str) -> None:
        """The child that held it is killed at the hard time limit: told, should no later attempt end the job."""
        with self._database.write() as session:
            job = lock_job(session, job_id)
            if job is not None and job.state == JobState.RUNNING and (job.worker or "").startswith(current_place()):
                job.error = TOO_LONG.to_problem()

    def sweep(self) -> Debts:
        """End what is due, and list what may lack a message: until `note_published` says otherwise it is owed.

        A second sweeper, or a ticket for a job that still has its message, does no harm: the claim decides.
        """
        with self._database.write() as session:
            now = self._database.now(session)
            note_sweep(session, now)
            waiting: dict[str, int] = {str(queue): count for queue, count in session.execute(waiting_jobs(now)).all()}
            tickets: list[Ticket] = []
            for queue in QUEUES:  # each by itself: a backlog in one must not hide a lost job of another
                for job in session.scalars(neglected_jobs(queue, now, self._patience, self._longest_lease)).all():
                    if not self._is_free(job, now):
                        continue
                    waiting[queue] = waiting.get(queue, 0) + (job.state == JobState.RUNNING)
                    if (follow_ups := self._end_if_due(session, job, now)) is not None:
                        tickets += follow_ups
                    elif lacks_message(job, now, self._patience):
                        tickets.append(Ticket(job.id, JobKind(job.kind), is_urgent=job.state == JobState.RUNNING))
            return Debts(tickets, waiting, now)

    def note_published(self, tickets: Sequence[Ticket], at: datetime) -> None:
        """Messages for these, as of the sweep `at`, are in Redis: they are looked for in GTM_REDISPATCH_SECONDS again.

        `at` rather than now: who was claimed meanwhile has lost its message since, should that worker die.
        """
        named = [ticket.job_id for ticket in tickets]
        with self._database.write() as session:
            session.execute(sa.update(Job).where(Job.id.in_(named)).values(dispatched_at=at))

    @property
    def _patience(self) -> timedelta:
        return timedelta(seconds=self._settings.redispatch_seconds)

    @property
    def _longest_lease(self) -> timedelta:
        """What ends later was granted before the clock was put back, and would hold a lost job up for that long."""
        backoff = _FIRST_BACKOFF_SECONDS * 2 ** min(self._settings.max_attempts, 20)
        return timedelta(seconds=max(self._settings.lease_seconds, backoff)) + CLOCK_SLACK

    def _is_free(self, job: Job, now: datetime) -> bool:
        if job.state == JobState.QUEUED:
            return job.is_ready and job.queue is not None and (job.due_at is None or job.due_at <= now)
        if job.state != JobState.RUNNING or job.queue is None:
            return False
        # A row that never got a lease must not wait for ever: NULL counts as run out.
        if job.lease_until is None or job.lease_until <= now or job.lease_until > now + self._longest_lease:
            return True
        return is_known_dead(job.worker)

    def _must_wait(self, session: Session, job: Job) -> bool:
        """A running job whose worker is lost counts too: it is taken up again first, so the order stays."""
        if job.lane is None:
            return False
        self._database.lock_name(session, f"one {job.lane} at a time")
        others = sa.select(Job.id).where(Job.lane == job.lane, Job.state == JobState.RUNNING, Job.id != job.id)
        return session.execute(others.limit(1)).first() is not None

    def _end_if_due(self, session: Session, job: Job, now: datetime) -> list[Ticket] | None:
        if job.cancel_requested_at is not None:
            return end_job(session, job, JobState.CANCELLED, now)
        if job.attempts >= self._settings.max_attempts:
            return end_job(session, job, JobState.FAILED, now, error=to_exhausted(job, job.error))
        return None


def _lock_held(session: Session, claim: Claim) -> Job | None:
    """The claim's job, locked; None when it is no longer this worker's."""
    job = lock_job(session, claim.job_id)
    is_held = job is not None and job.fence == claim.fence and job.state == JobState.RUNNING
    return job if is_held else None


def _held(claim: Claim) -> list[sa.ColumnElement[bool]]:
    return [Job.id == claim.job_id, Job.fence == claim.fence, Job.state == JobState.RUNNING]
