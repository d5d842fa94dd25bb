"""A CRM's rate limit over several processes: never more calls in any window, and hardly fewer than it allows."""

import subprocess
import sys
import threading
import time
from itertools import pairwise

import pytest
import redis

from services.ingest.adapters import rate_budget
from services.ingest.adapters.rate_budget import RateBudget, open_rate_budget
from services.ingest.domain.sources import SyncStopped
from shared.errors import TransientError
from tests.conftest import REPOSITORY, RedisServer, wait_until

LIMIT, WINDOW = 25, 0.5
CALLS = 100
ASKER = f"""
import sys, time
from services.ingest.adapters.rate_budget import open_rate_budget
budget = open_rate_budget(sys.argv[1], "crm", {LIMIT}, {WINDOW})
budget._client.ping()
print("ready", flush=True)
sys.stdin.readline()
for _ in range({CALLS}):
    budget.acquire()
    print(time.time(), flush=True)
"""


def _moments(server: RedisServer) -> list[float]:
    """Microseconds, of the calls that Redis still knows."""
    return [score for _, score in server.client.zrange("gtm:rate:crm", 0, -1, withscores=True)]


def test_two_processes_keep_one_budget_and_use_it(redis_server: RedisServer) -> None:
    command = [sys.executable, "-c", ASKER, redis_server.url]
    askers = [
        subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for asker in askers:
        assert asker.stdout is not None and asker.stdout.readline() == "ready\n"
    for asker in askers:
        assert asker.stdin is not None
        asker.stdin.write("go\n")
        asker.stdin.flush()
    outputs = [asker.communicate(timeout=30)[0] for asker in askers]
    counts = [len(output.split()) for output in outputs]
    assert counts == [CALLS, CALLS]
    went = sorted(float(text) for output in outputs for text in output.split())
    # In any window no more than the limit, by the clock of the caller: it may lag behind Redis' by a scheduling.
    jitter = 0.05
    crowded = [later - earlier for earlier, later in zip(went, went[LIMIT:]) if later - earlier < WINDOW - jitter]
    assert crowded == []
    windows = 2 * CALLS / LIMIT - 1  # the first LIMIT calls need not wait
    assert went[-1] - went[0] <= windows * WINDOW / 0.9, "at least 90 % of what the limit allows was used"


def test_a_call_goes_at_once_while_there_is_room_and_then_in_order(redis_server: RedisServer) -> None:
    budget = open_rate_budget(redis_server.url, "crm", 3, 60)
    pauses: list[float] = []
    waited = [budget.acquire(pauses.append) for _ in range(7)]
    assert waited[:3] == [0, 0, 0] and waited[3:] == pauses
    assert all(60 < seconds <= 60.6 for seconds in waited[3:6]) and 121 < waited[6] <= 121.2
    assert all(later >= earlier for earlier, later in pairwise(_moments(redis_server)))


def test_who_stops_waiting_gives_the_place_back(redis_server: RedisServer) -> None:
    budget = open_rate_budget(redis_server.url, "crm", 1, 60)

    def stop(_seconds: float) -> None:
        raise SyncStopped

    budget.acquire(stop)
    for _ in range(3):
        with pytest.raises(SyncStopped):
            budget.acquire(stop)
    assert len(_moments(redis_server)) == 1


def test_a_hold_of_one_is_kept_by_all(redis_server: RedisServer) -> None:
    first, second = (open_rate_budget(redis_server.url, "crm", 10, 1) for _ in range(2))
    first.hold(30)
    first.hold(5)  # a shorter one takes nothing back
    pauses: list[float] = []
    second.acquire(pauses.append)
    assert 29 < pauses[0] <= 30
    assert open_rate_budget(redis_server.url, "other", 10, 1).acquire(pauses.append) == 0


def test_a_redis_that_comes_back_is_waited_for(redis_server: RedisServer) -> None:
    budget = open_rate_budget(redis_server.url, "crm", 10, 1)
    redis_server.stop()
    waits: list[float] = []

    def pause(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            redis_server.start()

    assert budget.acquire(pause) == 0 and len(waits) == 2


def test_a_redis_that_stays_away_is_told(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    budget = open_rate_budget(redis_server.url, "crm", 10, 1)
    redis_server.stop()
    monkeypatch.setattr(rate_budget, "_PATIENCE_SECONDS", 0)
    with pytest.raises(TransientError, match="Check REDIS_URL") as caught:
        budget.acquire(lambda seconds: None)
    assert caught.value.code == "rate-budget-unavailable"
    budget.hold(1)


def test_what_is_kept_in_redis_vanishes_by_itself(redis_server: RedisServer) -> None:
    budget = RateBudget(redis.Redis(port=redis_server.port), "crm", 2, 0.05)
    for _ in range(5):
        budget.acquire()
    assert len(_moments(redis_server)) <= 3
    budget.hold(0.01)
    wait_until(lambda: not list(redis_server.client.scan_iter("gtm:rate:*")), "the keys expire", seconds=5)


def test_threads_share_a_budget(redis_server: RedisServer) -> None:
    budget = open_rate_budget(redis_server.url, "crm", 5, 0.2)
    began = time.monotonic()
    threads = [threading.Thread(target=lambda: [budget.acquire() for _ in range(5)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - began >= 0.59, "20 calls at 5 per 0.2 s"
