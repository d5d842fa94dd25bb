"""What a flow sees of the job it works for: its id, its request, and a pen for progress. No database, no Celery."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

from billiard.exceptions import SoftTimeLimitExceeded

# Raised by a signal wherever the code happens to be: who catches `Exception` around a part of its work lets these pass.
INTERRUPTIONS: Final = (SoftTimeLimitExceeded,)


class JobCancelled(Exception):
    """The caller asked to stop; the flow unwinds at the next batch and what it has written stays."""

    is_transient = False  # no attempt follows: what was made ready for one may go


class LeaseLost(Exception):
    """Another worker holds a higher fence: this one may not write another effect."""

    is_transient = True  # what was made ready is that worker's by now


class JobContext(Protocol):
    """The job of the running flow."""

    job_id: str
    request: Mapping[str, Any]

    def report(self, phase: str, done: int, total: int | None = None, unit: str = "rows") -> None:
        """Record progress; cheap enough for every batch (written at most twice a second, phase changes at once).

        Raises:
            JobCancelled, LeaseLost: as `check`.
        """
        ...

    def check(self) -> None:
        """Call right before each effect (a warehouse commit).

        Raises:
            JobCancelled: the caller asked to stop.
            LeaseLost: this worker no longer holds the job's highest fence.
        """
        ...


class HeldJob(JobContext, Protocol):
    """With the fence of the claim, for flows that keep rows of their own beside the job's (shared/jobs/fenced.py)."""

    fence: int
