"""A worker's whole dealing with one job: claim, beat while the flow works, end. tasks.py calls `run_job`, no more."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import sqlalchemy as sa
import structlog
from billiard.exceptions import SoftTimeLimitExceeded
from celery import Celery
from kombu.exceptions import OperationalError

from shared.contracts import JobState
from shared.errors import GtmError, TerminalError
from shared.jobs.context import JobCancelled, JobContext, LeaseLost
from shared.jobs.dispatch import publish
from shared.jobs.leases import Claim, Leases
from shared.jobs.transitions import Ticket
from shared.logging import get_logger
from shared.operations.database import operations_database
from shared.settings import OperationsSettings, operations_settings

log = get_logger(__name__)

_REPORT_INTERVAL_SECONDS = 0.5

Work = Callable[[JobContext], dict[str, Any]]


def run_job(app: Celery, job_id: str, work: Work, *, is_resumable: bool = False) -> None:
    """Do `work` if this worker can claim the job; a message for a job that is held or ended is dropped.

    `is_resumable`: the flow goes on where it stopped, so a job that meets the time limit is handed back, not failed.
    """
    settings = operations_settings()
    leases = Leases(operations_database(settings), settings)
    claim, tickets = leases.claim(job_id)
    if claim is not None:
        structlog.contextvars.bind_contextvars(job_id=job_id, request_id=claim.request_id, fence=claim.fence)
        try:
            tickets = _work(leases, settings, claim, work, is_resumable=is_resumable)
        finally:
            structlog.contextvars.clear_contextvars()
    _publish_all(app, tickets)


def _work(
    leases: Leases, settings: OperationsSettings, claim: Claim, work: Work, *, is_resumable: bool
) -> list[Ticket]:
    log.info("job_started", kind=claim.kind, attempt=claim.attempt)
    started = time.monotonic()
    tickets: list[Ticket] | None
    with _Held(leases, settings, claim) as held:
        try:
            tickets = leases.end(claim, JobState.SUCCEEDED, result=work(held))
            outcome = "succeeded"
        except JobCancelled:
            tickets, outcome = leases.end(claim, JobState.CANCELLED), "cancelled"
        except LeaseLost:
            tickets, outcome = None, "lease lost"
        except SoftTimeLimitExceeded:
            if is_resumable:
                tickets, outcome = leases.hand_back(claim, None), "handed back"
            else:
                tickets, outcome = leases.end(claim, JobState.FAILED, error=_TOO_LONG.to_problem()), "failed"
        except GtmError as error:
            log.warning("job_error", code=error.code, detail=error.detail, is_transient=error.is_transient)
            if error.is_transient:
                tickets, outcome = leases.hand_back(claim, error), "to be tried again"
            else:
                tickets, outcome = leases.end(claim, JobState.FAILED, error=error.to_problem()), "failed"
        except Exception as error:
            # A bug of ours: no retry can mend it. The traceback is in the log, the job names where to look.
            log.exception("job_crashed")
            tickets, outcome = leases.end(claim, JobState.FAILED, error=_crash(error).to_problem()), "failed"
    if tickets is None:
        outcome = "lease lost"
    log.info("job_left", outcome=outcome, seconds=round(time.monotonic() - started, 3))
    return tickets or []


def _publish_all(app: Celery, tickets: list[Ticket]) -> None:
    for ticket in tickets:
        try:
            publish(app, ticket)
        except (OperationalError, OSError) as error:
            log.warning("publish_left_to_sweeper", job_id=ticket.job_id, reason=str(error))


class _Held:
    """The flow's view of its job, with a thread that renews the lease while the flow computes or waits."""

    def __init__(self, leases: Leases, settings: OperationsSettings, claim: Claim) -> None:
        self._leases = leases
        self._settings = settings
        self._claim = claim
        self._stop = threading.Event()
        self._lost = threading.Event()
        self._cancelled = threading.Event()
        self._reported_at = float("-inf")
        self._phase: str | None = None
        self._thread = threading.Thread(target=self._beat_until_stopped, name="heartbeat", daemon=True)
        self.job_id = claim.job_id
        self.request: Mapping[str, Any] = claim.request

    def __enter__(self) -> "_Held":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def report(self, phase: str, done: int, total: int | None = None, unit: str = "rows") -> None:
        now = time.monotonic()
        is_last = total is not None and done >= total
        if phase == self._phase and not is_last and now - self._reported_at < _REPORT_INTERVAL_SECONDS:
            self._raise_if_over()
            return
        self._phase, self._reported_at = phase, now
        self._beat({"phase": phase, "done": done, "total": total, "unit": unit})

    def check(self) -> None:
        self._beat(None)

    def _beat(self, progress: dict[str, Any] | None) -> None:
        beat = self._leases.beat(self._claim, progress)
        if not beat.is_held:
            self._lost.set()
        if beat.is_cancel_requested:
            self._cancelled.set()
        self._raise_if_over()

    def _raise_if_over(self) -> None:
        if self._lost.is_set():
            raise LeaseLost(self.job_id)
        if self._cancelled.is_set():
            raise JobCancelled(self.job_id)

    def _beat_until_stopped(self) -> None:
        renewed_at = time.monotonic()
        while not self._stop.wait(self._settings.heartbeat_seconds):
            try:
                with suppress(JobCancelled, LeaseLost):
                    self._beat(None)
                renewed_at = time.monotonic()
            except sa.exc.DBAPIError as error:
                log.warning("heartbeat_failed", reason=str(error.orig))
                if time.monotonic() - renewed_at > self._settings.lease_seconds:
                    self._lost.set()  # someone else may hold the job by now


_TOO_LONG = TerminalError(
    "The job ran into GTM_TASK_TIME_LIMIT_SECONDS and was stopped. Raise the limit, or do the work in smaller parts "
    "(`select` for a build, fewer rows for a sync).",
    code="time-limit",
    title="The job took too long",
)


def _crash(error: Exception) -> TerminalError:
    return TerminalError(
        f"{type(error).__name__} in the worker: this is a defect. Its log has the traceback under this job_id.",
        code="internal-error",
        title="Internal error",
    )
