"""A worker's whole dealing with one job: claim, beat while the flow works, end. tasks.py calls `run_job`, no more."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import structlog
from billiard.exceptions import SoftTimeLimitExceeded
from celery import Celery
from pydantic import ValidationError

from shared.contracts import JobState
from shared.errors import GtmError, TerminalError
from shared.jobs import lost_children  # noqa: F401  (from here on a worker looks after its children)
from shared.jobs.context import HeldJob, JobCancelled, LeaseLost
from shared.jobs.creation import Ticket
from shared.jobs.dispatch import publish_or_leave
from shared.jobs.last_errors import TOO_LONG
from shared.jobs.leases import Claim, Leases
from shared.logging import get_logger
from shared.operations.database import operations_database
from shared.operations.outages import OUTAGES, outage_as_transient
from shared.settings import OperationsSettings, explain_wrong_settings, operations_settings, warehouse_settings
from shared.warehouse.budget import Spending, counted_spending, with_spending

log = get_logger(__name__)

_REPORT_INTERVAL_SECONDS = 0.5
_SETTLE_PAUSE_SECONDS = 0.5

Work = Callable[[HeldJob], dict[str, Any]]
IsResumable = Callable[[Mapping[str, Any]], bool]


def run_job(app: Celery, job_id: str, work: Work, *, is_resumable: IsResumable = lambda request: False) -> None:
    """Do `work` if this worker can claim the job; a message for a job that is held or ended is dropped.

    `is_resumable` tells by the request whether the flow goes on where it stopped: then a job that meets the time limit
    after it got on is handed back, not failed.
    """
    settings = operations_settings()
    leases = Leases(operations_database(settings), settings)
    claim, tickets = leases.claim(job_id)
    if claim is None:
        _publish_all(app, tickets)
        return
    # Every line of the log has these; `job_id` and `job_kind` are Snowflake's query tag, too.
    about = {"job_id": job_id, "job_kind": claim.kind, "request_id": claim.request_id, "fence": claim.fence}
    structlog.contextvars.bind_contextvars(**about)
    try:
        log.info("job_started", kind=claim.kind, attempt=claim.attempt)
        started = time.monotonic()
        # The heartbeat ends before the job does: it must not take up again what is being given back.
        with counted_spending() as spent, _Held(leases, settings, claim) as held:
            outcome = _attempt(held, _accounted(work, spent), is_resumable=is_resumable(claim.request))
        settled = _settle(outcome, leases, settings, claim)
        name = outcome.name if settled is not None else "lease lost"
        asked = {"statements": spent.statements, "warehouse_seconds": round(spent.seconds, 3)}
        log.info("job_left", outcome=name, seconds=_since(started), **asked)
        if outcome.stopped is not None:
            raise outcome.stopped  # the process is to go; publishing is left to the sweeper
        _publish_all(app, settled or [])
    finally:
        structlog.contextvars.clear_contextvars()


@dataclass(frozen=True)
class _Outcome:
    """How an attempt went, and the write that says so: None from it means that the job is another's by now."""

    name: str
    write: Callable[[Leases, Claim], list[Ticket] | None]
    stopped: SystemExit | None = None


def _accounted(work: Work, spent: Spending) -> Work:
    """With what it asked of the warehouse in its result (docs/cost.md)."""
    return lambda held: with_spending(work(held), spent, warehouse_settings())


def _attempt(held: "_Held", work: Work, *, is_resumable: bool) -> _Outcome:
    try:
        result = work(held)
        return _Outcome("succeeded", lambda leases, claim: leases.end(claim, JobState.SUCCEEDED, result=result))
    except JobCancelled:
        return _Outcome("cancelled", lambda leases, claim: leases.end(claim, JobState.CANCELLED))
    except LeaseLost:
        return _Outcome("lease lost", lambda leases, claim: None)
    except SystemExit as stopped:  # the worker is asked to go: no fault of the job
        return _Outcome("stopped", lambda leases, claim: leases.hand_back(claim, None, is_counted=False), stopped)
    except SoftTimeLimitExceeded:
        if not is_resumable:
            return _failed(TOO_LONG)
        # Without an effect since the claim the next slice would end the same way: that counts as an attempt.
        is_counted = not held.has_effect
        return _Outcome("handed back", lambda leases, claim: leases.hand_back(claim, None, is_counted=is_counted))
    except GtmError as error:
        log.warning("job_error", code=error.code, detail=error.detail, is_transient=error.is_transient)
        if not error.is_transient:
            return _failed(error)
        transient = error
        return _Outcome("to be tried again", lambda leases, claim: leases.hand_back(claim, transient))
    except ValidationError as error:
        return _failed(_bad_setting(error) if error.title.endswith("Settings") else _crash(error))
    except Exception as error:
        # A bug of ours: no retry can mend it. The traceback is in the log, the job names where to look.
        return _failed(_crash(error))


def _failed(error: GtmError) -> _Outcome:
    problem = error.to_problem()
    return _Outcome("failed", lambda leases, claim: leases.end(claim, JobState.FAILED, error=problem))


def _settle(outcome: _Outcome, leases: Leases, settings: OperationsSettings, claim: Claim) -> list[Ticket] | None:
    """Write the outcome, waiting out an operations database that is away for a moment.

    If it stays away the row stays as it is: the lease runs out, and another attempt finds the work done.
    """
    deadline = time.monotonic() + settings.lease_seconds
    while True:
        try:
            return outcome.write(leases, claim)
        except OUTAGES as error:
            log.warning("outcome_not_written", outcome=outcome.name, reason=str(getattr(error, "orig", error)))
            if time.monotonic() > deadline:
                return None
            time.sleep(_SETTLE_PAUSE_SECONDS)


def _publish_all(app: Celery, tickets: list[Ticket]) -> None:
    for ticket in tickets:
        publish_or_leave(app, ticket)


def _since(started: float) -> float:
    return round(time.monotonic() - started, 3)


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
        self.has_effect = False
        self._phase: str | None = None
        self._done: int | None = None
        self._thread = threading.Thread(target=self._beat_until_stopped, name="heartbeat", daemon=True)
        self.job_id = claim.job_id
        self.fence = claim.fence
        self.request: Mapping[str, Any] = claim.request

    def __enter__(self) -> "_Held":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        # A heartbeat under way may wait for the operations database. It is refused by the row, should it come late.
        self._thread.join(self._settings.heartbeat_seconds)

    def report(self, phase: str, done: int, total: int | None = None, unit: str = "rows") -> None:
        now = time.monotonic()
        is_last = total is not None and done >= total
        if phase == self._phase and not is_last and now - self._reported_at < _REPORT_INTERVAL_SECONDS:
            self._raise_if_over()
            return
        got_on = (phase, done) != (self._phase, self._done)
        self._phase, self._done, self._reported_at = phase, done, now
        try:
            self._beat({"phase": phase, "done": done, "total": total, "unit": unit}, got_on=got_on)
        except OUTAGES as error:  # it is only progress
            log.warning("progress_not_written", reason=str(getattr(error, "orig", error)))

    def check(self) -> None:
        with outage_as_transient():
            self._beat(None, got_on=True)
        self.has_effect = True

    def _beat(self, progress: dict[str, Any] | None, *, got_on: bool = False) -> None:
        beat = self._leases.beat(self._claim, progress, got_on=got_on)
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
            except sa.exc.SQLAlchemyError as error:  # whatever it is: the lease's end decides
                log.warning("heartbeat_failed", reason=str(getattr(error, "orig", error)))
                if time.monotonic() - renewed_at > self._settings.lease_seconds:
                    self._lost.set()  # someone else may hold the job by now


def _bad_setting(error: ValidationError) -> TerminalError:
    return TerminalError(
        f"{'; '.join(explain_wrong_settings(error))}. Mend it in the worker's environment or .env (see .env.example).",
        code="bad-setting",
        title="A setting is wrong",
    )


def _crash(error: Exception) -> TerminalError:
    log.error("job_crashed", exc_info=error)
    return TerminalError(
        f"{type(error).__name__} in the worker: this is a defect. Its log has the traceback under this job_id.",
        code="internal-error",
        title="Internal error",
    )
