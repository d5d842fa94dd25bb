"""Follow a job to its end. Watching changes nothing: a watcher that leaves, or is lost, leaves the job running."""

import time
from collections.abc import Callable
from typing import Final

from cli.client import GtmClient, Polled
from cli.errors import CliError, ServiceFailed, ServiceUnreachable
from cli.models import Job
from cli.progress import JobView

PATIENCE_SECONDS: Final = 30.0


class WatchingStopped(Exception):
    """Ctrl-C while the job goes on."""

    def __init__(self, job: Job) -> None:
        super().__init__(job.id)
        self.job = job


def follow(
    client: GtmClient,
    polled: Polled,
    view: JobView,
    *,
    patience_seconds: float = PATIENCE_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> Job:
    """Show the job until it is finished.

    A service that restarts meanwhile is waited for.

    Raises:
        WatchingStopped: on Ctrl-C.
        ServiceUnreachable, ServiceFailed: when no service answered for `patience_seconds`; the message says that the
            job goes on.
    """
    job = polled.job
    lost_at: float | None = None
    try:
        with view:
            view.show(job)
            while not job.is_finished:
                sleep(polled.wait_seconds)
                try:
                    polled = client.look_again(polled)
                except (ServiceUnreachable, ServiceFailed) as error:
                    lost_at = time.monotonic() if lost_at is None else lost_at
                    if time.monotonic() - lost_at >= patience_seconds:
                        raise _with_way_back(error, job) from None
                    continue
                lost_at = None
                job = polled.job
                view.show(job)
    except KeyboardInterrupt:
        raise WatchingStopped(job) from None
    return job


def way_back(job: Job) -> str:
    """How to come back to a job that nobody watches."""
    return f"Follow it with `gtm jobs {job.id} --watch`, stop it with `gtm jobs cancel {job.id}`."


def _with_way_back(error: CliError, job: Job) -> CliError:
    error.problem.detail = f"{error.problem.detail} The job is not lost. {way_back(job)}"
    return error
