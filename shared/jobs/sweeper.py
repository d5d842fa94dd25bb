"""`python -m shared.jobs.sweeper`: publish again what the job table owes and Redis, or a worker, has lost.

Looks once a second. It publishes for a queue only while the queue holds fewer messages than jobs wait for it, so a long
queue does not fill with duplicates. Two sweepers do no harm: the claim drops what is not due. It also starts a pipeline
for changed records that none reads, and forgets webhook events of long ago.
"""

import os
import signal
import threading
import time
from collections import defaultdict
from pathlib import Path
from types import FrameType
from typing import Final

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from shared.celery_app import make_celery
from shared.contracts import TASKS
from shared.jobs.creation import Ticket
from shared.jobs.debts import Debts
from shared.jobs.dispatch import lists_of, publish
from shared.jobs.leases import Leases
from shared.jobs.liveness import read_stalled
from shared.jobs.refreshes import forget_old_events, start_overdue
from shared.logging import configure_logging, get_logger
from shared.operations.database import operations_database
from shared.operations.outages import OUTAGES
from shared.settings import OperationsSettings, QueueSettings, operations_settings, queue_settings

log = get_logger(__name__)

STUCK: Final = 70  # exit code: EX_SOFTWARE of sysexits.h
_STUCK_SECONDS: Final = 60.0  # each thing that a look waits for is given up much sooner


class Sweeper:
    """One look a `sweep`; the caller decides how often."""

    def __init__(self, app: Celery, operations: OperationsSettings, queue: QueueSettings) -> None:
        self._app = app
        self._database = operations_database(operations)
        self._leases = Leases(self._database, operations)
        self._stall_seconds = operations.stall_seconds
        self._told: set[str] = set()
        self._redis = redis.Redis.from_url(
            queue.redis_url.get_secret_value(), socket_timeout=1, socket_connect_timeout=1
        )

    def sweep(self) -> int:
        """Number of messages published. The job table is looked at whether or not Redis is there.

        Raises:
            redis.RedisError, kombu's OperationalError: Redis can't be reached; the next sweep tries again.
        """
        self._tell_stalled()
        debts = self._leases.sweep()
        self._redis.ping()  # before pipelines are made that count as published
        refreshes = start_overdue(self._database)
        forget_old_events(self._database)
        for ticket in refreshes:
            publish(self._app, ticket)
        return len(refreshes) + self._pay(debts)

    def _pay(self, debts: Debts) -> int:
        by_queue: dict[str, list[Ticket]] = defaultdict(list)
        for ticket in debts.tickets:
            by_queue[TASKS[ticket.kind][1]].append(ticket)
        published: list[Ticket] = []
        try:
            for queue, owed in by_queue.items():
                messages = sum(int(self._redis.llen(name)) for name in lists_of(queue))
                if messages >= debts.waiting.get(queue, 0) > 0:
                    # Everyone who waits may have a message. What was taken up before has a list of its own.
                    owed = [ticket for ticket in owed if ticket.is_urgent]
                    owed = owed if len(owed) > int(self._redis.llen(lists_of(queue)[0])) else []
                for ticket in owed:
                    publish(self._app, ticket)
                    published.append(ticket)
                if owed:
                    log.info("dispatched_again", queue=queue, jobs=len(owed), messages=messages)
        finally:  # also what went out before Redis went
            if published:
                self._leases.note_published(published, debts.at)
        return len(published)

    def _tell_stalled(self) -> None:
        """Each job once, as long as it does not get on: a person decides whether it is to be cancelled."""
        with self._database.read() as session:
            stalled = read_stalled(session, self._database.now(session), self._stall_seconds)
        for job_id in stalled.keys() - self._told:
            kind, since = stalled[job_id]
            log.warning("job_stalled", job_id=job_id, kind=kind, since=since.isoformat())
        self._told = set(stalled)


class Watchdog:
    """Ends the process when no look has come to its end for too long, whatever holds it up: who supervises it starts
    another one. That a look fails is no reason: Redis and the database come back by themselves.
    """

    def __init__(self, limit_seconds: float) -> None:
        self._limit = limit_seconds
        self._last = time.monotonic()
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def is_well(self) -> None:
        """A look has come to its end."""
        self._last = time.monotonic()

    def _watch(self) -> None:
        while (idle := time.monotonic() - self._last) <= self._limit:
            time.sleep(min(1.0, self._limit / 4))
        log.error("sweeper_stuck", seconds=round(idle), limit=self._limit)
        os._exit(STUCK)


def run(stop: threading.Event, alive_file: Path, *, stuck_seconds: float = _STUCK_SECONDS) -> None:
    """Sweep until stopped, touching `alive_file` after each look: its age is the sweeper's health."""
    operations, queue = operations_settings(), queue_settings()
    sweeper = Sweeper(make_celery("sweeper", settings=queue, is_producer=True), operations, queue)
    alive_file.parent.mkdir(parents=True, exist_ok=True)
    watchdog = Watchdog(stuck_seconds)
    while not stop.is_set():
        try:
            sweeper.sweep()
            alive_file.touch()
        except (redis.RedisError, OperationalError, *OUTAGES, OSError) as error:
            log.warning("sweep_failed", reason=str(error))
        watchdog.is_well()
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
