"""Who looks on from outside: asks the API about every accepted job, again and again, and remembers what it was told.

A violation is: a 404 for an accepted id, a state that went back, a job that runs by its row though its lease ran out
long ago. `Verdict` adds what is to be seen at the end.
"""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
import sqlalchemy as sa

from shared.contracts import JobState
from shared.operations.database import OperationsDatabase
from shared.operations.models import Job
from shared.operations.outages import OUTAGES

RANK: Final = {"queued": 0, "running": 1, "succeeded": 2, "failed": 2, "cancelled": 2}
ENDED: Final = 2
_OWNERLESS: Final = timedelta(seconds=15)  # beyond a lease's end; the API tells it after 5
_TABLE_LOOK_SECONDS: Final = 1.0
_AGAIN: Final = 0.1  # share of calls that ask about jobs that have ended: they must stay as they are


@dataclass
class Seen:
    """What the API has said of one job so far."""

    state: str = "queued"
    first_ended_as: str | None = None


@dataclass
class Sightings:
    """Of all jobs."""

    jobs: dict[str, Seen] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    answers: int = 0
    unanswered: int = 0
    slowest: float = 0.0


class Observer:
    """A thread from enter to exit."""

    def __init__(
        self,
        url: Callable[[], str],
        operations: OperationsDatabase,
        seed: int,
        *,
        per_second: float = 20,
        has_our_clock: bool = True,
    ) -> None:
        self.sightings = Sightings()
        self._url, self._operations = url, operations
        self._random = random.Random(seed)
        self._pause = 1 / per_second
        self._has_our_clock = has_our_clock
        self._guard = threading.Lock()
        self._open: list[str] = []
        self._ended: list[str] = []
        self._ownerless: set[str] = set()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._live, args=(one,), name="observer") for one in (self._ask_on, self._look_on)
        ]

    def __enter__(self) -> "Observer":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def watch(self, job_id: str) -> None:
        """From now on it must be there."""
        with self._guard:
            if job_id not in self.sightings.jobs:
                self.sightings.jobs[job_id] = Seen()
                self._open.append(job_id)

    def ask(self, client: httpx.Client, job_id: str) -> str | None:
        """The state that the API tells, None where it gives no answer; checked against what it told before."""
        asked = time.monotonic()
        try:
            answer = client.get(f"{self._url()}/v1/jobs/{job_id}")
        except httpx.TransportError:
            self.sightings.unanswered += 1
            return None
        self.sightings.slowest = max(self.sightings.slowest, time.monotonic() - asked)
        if answer.status_code == 404:
            self._object(f"{job_id}: 404 though it was accepted")
            return None
        if answer.status_code != 200:
            self.sightings.unanswered += 1
            return None
        self.sightings.answers += 1
        return self._remember(job_id, str(answer.json()["state"]))

    def objections(self) -> list[str]:
        """What was seen that may not be; that nobody looked is one, too."""
        with self._guard:
            unseen = ["no job was ever asked about"] if self.sightings.jobs and not self.sightings.answers else []
            dead = [f"a thread of the observer is gone: {one.name}" for one in self._threads if not one.is_alive()]
            return [*self.sightings.violations, *unseen, *dead]

    def _live(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            self._object(f"who looked on died: {error!r}")

    def _remember(self, job_id: str, state: str) -> str:
        with self._guard:
            seen = self.sightings.jobs[job_id]
            if RANK[state] < RANK[seen.state] or (seen.first_ended_as or state) != state:
                self.sightings.violations.append(f"{job_id}: {state} after {seen.state}")
            seen.state = state
            if RANK[state] == ENDED and seen.first_ended_as is None:
                seen.first_ended_as = state
        return state

    def _ask_on(self) -> None:
        with httpx.Client(timeout=20) as client:
            while not self._stop.wait(self._pause):
                job_id = self._next()
                if job_id is None:
                    continue
                state = self.ask(client, job_id)
                with self._guard:
                    (self._ended if state is not None and RANK[state] == ENDED else self._open).append(job_id)

    def _next(self) -> str | None:
        with self._guard:
            wanted = self._ended if self._random.random() < _AGAIN or not self._open else self._open
            return wanted.pop(self._random.randrange(len(wanted))) if wanted else None

    def _look_on(self) -> None:
        with httpx.Client(timeout=_TABLE_LOOK_SECONDS) as client:
            while not self._stop.wait(_TABLE_LOOK_SECONDS):
                try:
                    if self._has_our_clock:
                        self._look_for_ownerless(client)
                except (*OUTAGES, httpx.TransportError):
                    continue  # the database or the API is away: that is one of the faults

    def _look_for_ownerless(self, client: httpx.Client) -> None:
        """Nobody may hold a job for as long as no worker is free; but it has to be said."""
        with self._operations.read() as session:
            long_ago = self._operations.now(session).astimezone(UTC) - _OWNERLESS
            lost = sa.select(Job.id).where(Job.state == JobState.RUNNING, Job.queue.is_not(None))
            lost = lost.where(sa.or_(Job.lease_until.is_(None), Job.lease_until < long_ago))
            ownerless = set(session.scalars(lost)) - self._ownerless
        for job_id in ownerless:
            answer = client.get(f"{self._url()}/v1/jobs/{job_id}")
            if answer.status_code == 200 and _hides_that_nobody_holds_it(answer.json()):
                self._ownerless.add(job_id)
                self._object(f"{job_id}: running, though nobody holds it for {_OWNERLESS.seconds} s")

    def _object(self, violation: str) -> None:
        with self._guard:
            self.sightings.violations.append(violation)


def _hides_that_nobody_holds_it(job: dict[str, Any]) -> bool:
    return job["state"] == "running" and job["stalled_since"] is None


def utc(moment: float) -> datetime:
    """A Unix time as the job table has it."""
    return datetime.fromtimestamp(moment, UTC)
