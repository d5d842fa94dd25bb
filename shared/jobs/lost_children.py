"""A process of a worker's pool that was killed: its parent alone sees it at once, and lets its job go.

In containers nobody else can: the sweeper, or a worker of another container, would wait for the lease's end.
"""

from collections.abc import Sequence
from typing import Any

from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery.signals import task_failure

from shared.jobs.leases import Leases
from shared.logging import get_logger
from shared.operations.database import operations_database
from shared.operations.outages import OUTAGES
from shared.settings import operations_settings

log = get_logger(__name__)


@task_failure.connect(weak=False)  # type: ignore[untyped-decorator]  # celery has no stubs
def release_job_of_lost_child(exception: BaseException, args: Sequence[Any] = (), **_: object) -> None:
    """Celery calls it in the parent. The sweeper publishes the job within a second; one whose child is killed at the
    hard time limit, and lives yet, when its lease has run out."""
    if not isinstance(exception, (WorkerLostError, TimeLimitExceeded)) or not args:
        return
    settings = operations_settings()
    leases = Leases(operations_database(settings), settings)
    job_id = str(args[0])
    try:
        if isinstance(exception, TimeLimitExceeded):
            leases.note_overdue(job_id)
            log.warning("child_overdue", job_id=job_id)
        else:
            log.warning("child_lost", job_id=job_id, released=leases.release_dead(job_id))
    except OUTAGES as error:  # the lease will run out
        log.warning("lost_child_not_noted", job_id=job_id, reason=str(getattr(error, "orig", error)))
