"""A house, the load on it, the dice, and what faults have to know of the job table."""

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import psutil
import redis
import sqlalchemy as sa

from shared.contracts import TERMINAL_STATES, JobState
from shared.operations.models import Job
from shared.operations.outages import OUTAGES
from tests.chaos.house import ToyHouse
from tests.chaos.messages import ids_in_messages
from tests.chaos.observer import utc
from tests.servers import Server

_LOOK_SECONDS = 0.1
_COUNT_SECONDS = 0.5
_BACKLOG_JOBS = 250
_SOME_JOBS = 3
SHOW_OF_LIFE_JOBS = 8  # more than what workers had prefetched when Redis went away


@dataclass(frozen=True)
class Hold:
    """A process's right to a job, when it was looked at."""

    job_id: str
    fence: int
    pid: int


@dataclass
class Recovery:
    """Of one fault: how long after `since` (Unix time) its condition came true; None: not yet, or never.

    `held`: how many jobs lost their worker, or their message, by it. With 0 it hit nothing that had to be mended, and
    its time says nothing. None for faults that are no matter of single jobs.
    """

    fault: str
    bound: float
    since: float
    is_over: Callable[[], bool]
    seconds: float | None = None
    held: int | None = None

    @property
    def is_empty(self) -> bool:
        return self.held == 0

    @property
    def is_late(self) -> bool:
        return not self.is_empty and (self.seconds is None or self.seconds > self.bound)


def recovery(since: float, is_over: Callable[[], bool], *, held: int | None = None) -> Recovery:
    """Of a fault that gives its own name and bound (Fault.happen)."""
    return Recovery("", 0, since, is_over, held=held)


@dataclass
class Arena:
    """What a fault is given."""

    house: ToyHouse
    dice: random.Random
    kills: int = 0
    notes: list[str] = field(default_factory=list)
    _counted_at: float = float("-inf")
    _is_full: bool = False

    def running(self) -> list[Hold]:
        """Jobs that are running by their row, and by whom."""
        query = sa.select(Job.id, Job.fence, Job.worker).where(Job.state == JobState.RUNNING, Job.queue.is_not(None))
        with self.house.operations.read() as session:
            rows = session.execute(query).tuples().all()
        return [Hold(job_id, fence, int(worker.split(":")[3])) for job_id, fence, worker in rows if worker]

    def held_by(self, pids: set[int]) -> list[Hold]:
        """What these processes hold."""
        return [hold for hold in self.running() if hold.pid in pids]

    def are_taken_over(self, holds: list[Hold]) -> bool:
        """Each has ended, or somebody else is at it."""
        fences = {hold.job_id: hold.fence for hold in holds}
        query = sa.select(Job.id, Job.fence, Job.state).where(Job.id.in_(fences))
        with self.house.operations.read() as session:
            rows = session.execute(query).tuples().all()
        return all(state in TERMINAL_STATES or fence > fences[job_id] for job_id, fence, state in rows)

    def has_resumed(self, since: float) -> bool:
        """Enough jobs were begun since then to know that messages flow again."""
        query = sa.select(sa.func.count()).select_from(Job).where(Job.started_at > utc(since))
        with self.house.operations.read() as session:
            return int(session.execute(query).scalar_one()) >= SHOW_OF_LIFE_JOBS

    def count_ended(self) -> int:
        """Jobs that have."""
        query = sa.select(sa.func.count()).select_from(Job).where(Job.state.in_(TERMINAL_STATES))
        with self.house.operations.read() as session:
            return int(session.execute(query).scalar_one())

    def waiting(self) -> set[str]:
        """Ids of jobs that wait for a worker."""
        with self.house.operations.read() as session:
            return set(session.scalars(sa.select(Job.id).where(Job.state == JobState.QUEUED, Job.is_ready)))

    def has_backlog(self) -> bool:
        """Enough jobs wait for what breaks to meet some; more would only make the end late. Looked at now and then."""
        if time.monotonic() - self._counted_at > _COUNT_SECONDS:
            self._counted_at = time.monotonic()
            with suppress(*OUTAGES):
                self._is_full = len(self.waiting()) > _BACKLOG_JOBS
        return self._is_full

    def wait_waiting(self, *, seconds: float = 20) -> None:
        """Until some jobs wait, so that there is a message to lose; or for so long."""
        deadline = time.monotonic() + seconds
        while len(self.waiting()) < _SOME_JOBS and time.monotonic() < deadline:
            threading.Event().wait(_LOOK_SECONDS / 4)

    def without_message(self) -> set[str]:
        """Ids of jobs that wait, though nothing in Redis would bring them to a worker."""
        waiting = self.waiting()  # first: what is published meanwhile is not missing
        return waiting - ids_in_messages(self.house.redis.client)

    def are_owed_nothing(self, job_ids: set[str]) -> bool:
        """Each has a message again, or has been taken up."""
        return not job_ids or not job_ids & self.without_message()

    def pids(self, worker: Server) -> set[int]:
        """Of a worker and its children."""
        return {worker.process.pid, *(child.pid for child in self.house.children(worker))}

    def busy_child(self, *, seconds: float = 10) -> psutil.Process | None:
        """One that holds a job now, if there is one."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            pids = [hold.pid for hold in self.running() if psutil.pid_exists(hold.pid)]
            if pids:
                return psutil.Process(self.dice.choice(pids))
            threading.Event().wait(_LOOK_SECONDS)
        return None

    def busy_worker(self, *, seconds: float = 20) -> Server:
        """One whose children hold jobs now; any, where nobody gets one in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            holders = {hold.pid for hold in self.running()}
            busy = [worker for worker in self.house.workers if self.pids(worker) & holders]
            if busy:
                return self.dice.choice(busy)
            threading.Event().wait(_LOOK_SECONDS / 4)
        return self.dice.choice(self.house.workers)


def resumed(arena: Arena) -> Recovery:
    """Of a fault that is over now: well again is what works on jobs once more."""
    since = time.time()
    return recovery(since, lambda: arena.has_resumed(since))


class Watch:
    """A thread that waits for recoveries and takes their time, so that the next fault need not."""

    def __init__(self) -> None:
        self.recoveries: list[Recovery] = []
        self._alone: list[Recovery] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recoveries")

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def add(self, recovery: Recovery, *, is_alone: bool) -> None:
        """Looked at from now on."""
        self.recoveries.append(recovery)
        self._alone += [recovery] if is_alone else []

    @property
    def is_alone_pending(self) -> bool:
        """All is not yet well after one that wants no other beside it."""
        return any(one.seconds is None for one in self._alone)

    def wait_all(self, seconds: float) -> bool:
        """False where one is still open then; it stays so, without a time."""
        deadline = time.monotonic() + seconds
        while any(one.seconds is None for one in self.recoveries):
            if time.monotonic() > deadline:
                return False
            self._stop.wait(_LOOK_SECONDS)
        return True

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            for one in list(self.recoveries):
                if one.seconds is None and _is_over(one):
                    one.seconds = time.time() - one.since


def _is_over(recovery: Recovery) -> bool:
    try:
        return recovery.is_over()
    except (*OUTAGES, redis.RedisError):
        return False  # what would tell is away itself: that is a fault, too
