"""`python -m shared.jobs.sweeper`: publish again what the job table owes and Redis, or a worker, has lost.

Looks once a second. It publishes for a queue only while the queue holds fewer messages than jobs wait for it, so a long
queue does not fill with duplicates. Two sweepers do no harm: the claim drops what is not due. It also starts a pipeline
for changed records that none reads, and forgets webhook events of long ago.
"""

import signal
import threading
from collections import defaultdict
from pathlib import Path
from types import FrameType

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from shared.celery_app import make_celery
from shared.contracts import TASKS
from shared.jobs.creation import Ticket
from shared.jobs.dispatch import publish
from shared.jobs.leases import Leases
from shared.jobs.refreshes import forget_old_events, start_overdue
from shared.logging import configure_logging, get_logger
from shared.operations.database import operations_database
from shared.operations.outages import OUTAGES
from shared.settings import OperationsSettings, QueueSettings, operations_settings, queue_settings

log = get_logger(__name__)


class Sweeper:
    """One look a `sweep`; the caller decides how often."""

    def __init__(self, app: Celery, operations: OperationsSettings, queue: QueueSettings) -> None:
        self._app = app
        self._database = operations_database(operations)
        self._leases = Leases(self._database, operations)
        self._redis = redis.Redis.from_url(
            queue.redis_url.get_secret_value(), socket_timeout=1, socket_connect_timeout=1
        )

    def sweep(self) -> int:
        """Number of messages published.

        Raises:
            redis.RedisError, kombu's OperationalError: Redis can't be reached; the next sweep tries again.
        """
        self._redis.ping()  # before the rows are marked as dispatched
        refreshes = start_overdue(self._database)
        forget_old_events(self._database)
        tickets, waiting = self._leases.sweep()
        by_queue: dict[str, list[Ticket]] = defaultdict(list)
        for ticket in tickets:
            by_queue[TASKS[ticket.kind][1]].append(ticket)
        for ticket in refreshes:
            publish(self._app, ticket)
        published = len(refreshes)
        for queue, owed in by_queue.items():
            messages = int(self._redis.llen(queue))
            if messages >= waiting.get(queue, 0) > 0:
                continue  # everyone who waits has a message
            for ticket in owed:
                publish(self._app, ticket)
                published += 1
            log.info("dispatched_again", queue=queue, jobs=len(owed), messages=messages)
        return published


def run(stop: threading.Event, alive_file: Path) -> None:
    """Sweep until stopped, touching `alive_file` after each look: its age is the sweeper's health."""
    operations, queue = operations_settings(), queue_settings()
    sweeper = Sweeper(make_celery("sweeper", settings=queue, is_producer=True), operations, queue)
    alive_file.parent.mkdir(parents=True, exist_ok=True)
    while not stop.is_set():
        try:
            sweeper.sweep()
            alive_file.touch()
        except (redis.RedisError, OperationalError, *OUTAGES, OSError) as error:
            log.warning("sweep_failed", reason=str(error))
        stop.wait(operations.sweep_seconds)


def main() -> None:
    """Runs until SIGTERM or SIGINT."""
    configure_logging()
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    log.info("sweeper_started")
    run(stop, operations_settings().data_dir / "sweeper.alive")


if __name__ == "__main__":
    main()
