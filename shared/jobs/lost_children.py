"""A process of a worker's pool that was killed: its parent alone sees it at once, and lets its job go.

In containers nobody else can: the sweeper, or a worker of another container, would wait for the lease's end.
"""

from collections.abc import Sequence
from typing import Any

from billiard.exceptions import WorkerLostError
from celery.signals import task_failure

from shared.jobs.leases import Leases
from shared.logging import get_logger
from shared.operations.database import operations_database
from shared.operations.outages import OUTAGES
from shared.settings import operations_settings

log = get_logger(__name__)


@task_failure.connect(weak=False)  # type: ignore[untyped-decorator]  # celery has no stubs
def release_job_of_lost_child(exception: BaseException, args: Sequence[Any] = (), **_: object) -> None:
    """Celery calls it in the parent. The sweeper publishes the job within a second."""
    if not isinstance(exception, WorkerLostError) or not args:
        return
    settings = operations_settings()
    try:
        is_released = Leases(operations_database(settings), settings).release_dead(str(args[0]))
    except OUTAGES as error:  # the lease will run out
        log.warning("lost_child_not_noted", job_id=args[0], reason=str(getattr(error, "orig", error)))
        return
    log.warning("child_lost", job_id=args[0], released=is_released)
