"""What is said of a job that is not tried again."""

from typing import Any

from shared.errors import TerminalError, problem_type
from shared.operations.models import Job

TOO_LONG = TerminalError(
    "The job ran into GTM_TASK_TIME_LIMIT_SECONDS and was stopped. Raise the limit, or do the work in smaller parts "
    "(`select` for a build, fewer rows for a sync, a `limit` for a scoring).",
    code="time-limit",
    title="The job took too long",
)


def to_exhausted(job: Job, last_error: dict[str, Any] | None) -> dict[str, Any]:
    """The last error that its attempts met; without one its workers died."""
    if last_error is not None:
        return {**last_error, "attempts": job.attempts}
    return {
        "type": problem_type("worker-lost"),
        "title": "The worker was lost",
        "status": 500,
        "code": "worker-lost",
        "detail": f"The worker died {job.attempts} times while it held this job (killed, or out of memory). "
        "Look at the worker's log and its memory limit, then start the job again.",
        "attempts": job.attempts,
    }
