"""Publishing a job's id after its row is committed. The caller never waits for Redis."""

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

from celery import Celery
from kombu.exceptions import OperationalError
from kombu.transport.redis import Channel

from shared.celery_app import PRIORITY_FIRST, PRIORITY_NORMAL
from shared.contracts import TASKS
from shared.jobs.creation import Ticket
from shared.logging import get_logger

log = get_logger(__name__)

_PAUSE_AFTER_FAILURE_SECONDS = 1.0


def publish(app: Celery, ticket: Ticket) -> None:
    """Raises kombu's OperationalError when Redis can't take the message."""
    task, queue = TASKS[ticket.kind]
    priority = PRIORITY_FIRST if ticket.is_urgent else PRIORITY_NORMAL
    app.send_task(task, args=[ticket.job_id], queue=queue, priority=priority, argsrepr="(job_id)", ignore_result=True)


def lists_of(queue: str) -> list[str]:
    """The keys in Redis that hold a queue's messages, one a priority, as kombu names them."""
    return [queue, f"{queue}{Channel.sep}{PRIORITY_NORMAL}"]


def publish_or_leave(app: Celery, ticket: Ticket) -> bool:
    """False when Redis could not take the message: then the sweeper publishes it later."""
    try:
        publish(app, ticket)
    except (OperationalError, OSError) as error:
        log.warning("publish_left_to_sweeper", job_id=ticket.job_id, reason=str(error))
        return False
    return True


class Dispatcher:
    """Publishes tickets from one background thread; what can't be published is left to the sweeper.

    One thread: a frozen Redis blocks it and not the requests. While Redis fails, tickets are dropped instead of piled
    up, since the job table already remembers them.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="dispatch")
        self._failed_at = float("-inf")

    def dispatch(self, tickets: Iterable[Ticket]) -> None:
        """Returns at once."""
        for ticket in tickets:
            self._thread.submit(copy_context().run, self._publish, ticket)  # its lines have the request's id, too

    def close(self) -> None:
        """Publish what is waiting, then stop."""
        self._thread.shutdown(wait=True)

    def _publish(self, ticket: Ticket) -> None:
        if time.monotonic() - self._failed_at < _PAUSE_AFTER_FAILURE_SECONDS:
            log.warning("publish_left_to_sweeper", job_id=ticket.job_id, reason="redis failed a moment ago")
            return
        if not publish_or_leave(self._app, ticket):
            self._failed_at = time.monotonic()
