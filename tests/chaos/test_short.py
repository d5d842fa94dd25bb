"""A short course of `make chaos`: real processes are killed, Redis forgets and falls silent, and nothing is lost."""

import random
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Final

import httpx
import pytest

from tests.chaos.arena import Arena
from tests.chaos.campaign import Course, run_course, told
from tests.chaos.faults import ALL, Fault
from tests.chaos.house import Plan, ToyHouse
from tests.chaos.load import PATIENCE_SECONDS, Calls, start_toy
from tests.chaos.redis_faults import wipe_redis
from tests.chaos.scenarios import cancel_everywhere, poison
from tests.chaos.toys import Toy
from tests.conftest import wait_until

pytestmark = pytest.mark.processes

SEED: Final = 7
CALLERS: Final = 12
# Ten times as quick to notice as production: what takes longer than this here would take too long there.
QUICK: Final = {
    "GTM_LEASE_SECONDS": "2",
    "GTM_HEARTBEAT_SECONDS": "0.5",
    "GTM_REDISPATCH_SECONDS": "1",
    "GTM_SWEEP_SECONDS": "0.2",
    "GTM_SOFT_SHUTDOWN_SECONDS": "1",
}
FAULTS: Final = (
    Fault("worker killed", 12, ALL["worker killed"].strike),
    Fault("Redis wiped", 12, wipe_redis, lasts=1),
    ALL["API killed before publishing"],
    Fault("Redis flushed", 12, ALL["Redis flushed"].strike),
    ALL["child killed"],
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, redis_binary: str) -> Iterator[ToyHouse]:
    with ToyHouse(tmp_path_factory.mktemp("chaos"), redis_binary, Plan(env=QUICK)) as running:
        yield running


def test_nothing_is_lost_doubled_or_lied_about_while_things_break(house: ToyHouse) -> None:
    faults = list(FAULTS)
    random.Random(SEED).shuffle(faults)
    course = Course("short", faults, toys=10_000, per_second=12, gap=(0.1, 0.4), settle=30, is_endless=True)
    outcome = run_course(house, course, SEED, lambda _: None)
    assert outcome.is_good, "\n".join(told(outcome))
    assert outcome.kills >= 4 and outcome.verdict.accepted > 30


def test_a_cancel_is_heard_in_every_state(house: ToyHouse) -> None:
    outcome = cancel_everywhere(house, SEED, count=14)
    assert outcome.is_good, "\n".join(told(outcome))


def test_a_job_that_kills_its_workers_ends_after_three_and_takes_no_other_along(house: ToyHouse) -> None:
    outcome = poison(house, SEED, count=1)
    assert outcome.is_good, "\n".join(told(outcome))


def test_what_was_begun_goes_on_ahead_of_a_backlog(house: ToyHouse) -> None:
    calls = Calls()
    with httpx.Client(timeout=20) as client:
        long = start_toy(client, house.api.url, Toy("long", before=60_000), calls)
        wait_until(lambda: _state(client, house, long) == "running", "the long one runs")
        for number in range(40):  # of a second each: however slowly they are started, most still wait
            start_toy(client, house.api.url, Toy(f"backlog-{number}", before=1000), calls)
        arena = Arena(house, random.Random(SEED))
        (holder,) = [hold.pid for hold in arena.running() if hold.job_id == long]
        house.kill(next(worker for worker in house.workers if holder in arena.pids(worker)))
        killed = time.monotonic()
        wait_until(lambda: _attempts(client, house, long) == 2, "the long one is taken up again", seconds=20)
        waiting = client.get(f"{house.api.url}/v1/jobs", params={"state": "queued", "limit": 200}).json()["items"]
        assert len(waiting) > 10, f"it came before those that wait, {time.monotonic() - killed:.1f} s after the kill"
        client.post(f"{house.api.url}/v1/jobs/{long}/cancel")


def test_callers_of_a_locked_database_are_told_in_time(house: ToyHouse) -> None:
    with httpx.Client(timeout=30) as client:

        def ask(_: int) -> tuple[int, str, float]:
            asked = time.monotonic()
            answer = client.post(
                f"{house.api.url}/v1/scorings", json={"scope": {"account_ids": ["locked;0;0;1;0;0;0"]}}
            )
            return answer.status_code, answer.headers.get("Retry-After", ""), time.monotonic() - asked

        with closing(sqlite3.connect(house.url.removeprefix("sqlite:///"), timeout=30, isolation_level=None)) as holder:
            holder.execute("begin immediate")
            with ThreadPoolExecutor(CALLERS) as pool:
                answers = list(pool.map(ask, range(CALLERS)))
            holder.execute("rollback")
        assert {(status, bool(again)) for status, again, _ in answers} == {(503, True)}
        assert max(seconds for _, _, seconds in answers) < PATIENCE_SECONDS
        assert ask(0)[0] == 202, "as soon as it is free"


def _state(client: httpx.Client, house: ToyHouse, job_id: str) -> str:
    return str(client.get(f"{house.api.url}/v1/jobs/{job_id}").json()["state"])


def _attempts(client: httpx.Client, house: ToyHouse, job_id: str) -> int:
    return int(client.get(f"{house.api.url}/v1/jobs/{job_id}").json()["attempts"])
