"""What can break, how it is broken, and how soon it must be well again. Each takes the arena and gives a `Recovery`.

The clock of a fault that lasts (Redis away) starts when it is over; that of a kill at the kill.
"""

import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

import httpx

from tests.chaos.arena import Arena, Recovery

Strike = Callable[[Arena, float], Recovery]
_LOOK_SECONDS: Final = 0.1
_SHOW_OF_LIFE_JOBS: Final = 8


@dataclass(frozen=True)
class Fault:
    """`lasts`: seconds, for those that last. `bound`: seconds until all is well again.

    `is_alone`: it waits until all is well again after those before it, and those after wait for it. Without it faults
    may fall into each other's recovery.
    """

    name: str
    bound: float
    strike: Strike
    lasts: float = 0
    is_alone: bool = True

    def happen(self, arena: Arena) -> Recovery:
        """Break it. Returns when the fault is over, which is not when all is well again."""
        recovery = self.strike(arena, self.lasts)
        recovery.fault, recovery.bound = self.name, self.bound
        return recovery


def _recovery(since: float, is_over: Callable[[], bool]) -> Recovery:
    return Recovery("", 0, since, is_over)


def kill_child(arena: Arena, _: float) -> Recovery:
    """SIGKILL for a process of a pool while it holds a job, as the kernel does when memory runs out."""
    child = arena.busy_child()
    assert child is not None, "nothing to kill: no job runs"
    child.kill()
    since = time.time()
    arena.kills += 1
    return _recovery(since, partial(arena.are_taken_over, arena.held_by({child.pid})))


def kill_worker(arena: Arena, _: float) -> Recovery:
    """SIGKILL for a worker and its children; another one starts, as a supervisor would see to."""
    worker = arena.dice.choice(arena.house.workers)
    arena.house.wait_children(worker)
    pids = arena.pids(worker)
    arena.house.kill(worker)
    since = time.time()
    arena.kills += 1
    holds = arena.held_by(pids)
    return _recovery(since, partial(arena.are_taken_over, holds))


def freeze_worker(arena: Arena, lasts: float) -> Recovery:
    """SIGSTOP for longer than a lease: others take over, then it goes on and must not do harm."""
    worker = arena.dice.choice(arena.house.workers)
    arena.house.wait_children(worker)
    everyone = [child for child in arena.house.children(worker)]
    pids = arena.pids(worker)
    worker.process.send_signal(signal.SIGSTOP)
    for child in everyone:
        child.suspend()
    since = time.time()
    recovery = _recovery(since, partial(arena.are_taken_over, arena.held_by(pids)))
    while time.time() < since + lasts:
        if recovery.seconds is None and recovery.is_over():
            recovery.seconds = time.time() - since
        threading.Event().wait(_LOOK_SECONDS)
    for child in everyone:
        child.resume()
    worker.process.send_signal(signal.SIGCONT)
    return recovery


def roll_workers(arena: Arena, _: float) -> Recovery:
    """SIGTERM one after the other, as an update does: each is gone within its grace and fails no job."""
    since = time.time()
    for worker in arena.house.workers:
        arena.house.wait_children(worker)
        arena.house.stop(worker)
        arena.house.wait_children(worker)
    return _recovery(since, partial(arena.has_resumed, time.time()))


def kill_api(arena: Arena, _: float) -> Recovery:
    """SIGKILL in the midst of requests."""
    arena.house.kill(arena.house.api)
    since = time.time()
    arena.kills += 1
    return _recovery(since, lambda: _is_ready(arena))


def kill_api_before_publish(arena: Arena, _: float) -> Recovery:
    """SIGKILL between the commit of jobs and their messages: Redis is slow, so the messages are not out yet."""
    arena.house.order("delay 900")
    threading.Event().wait(1.5)
    waiting = arena.waiting()
    arena.house.kill(arena.house.api)
    since = time.time()
    arena.kills += 1
    arena.house.order("pass")
    return _recovery(since, lambda: not waiting & arena.waiting() or arena.are_dispatched_since(waiting, since))


def kill_sweeper(arena: Arena, lasts: float) -> Recovery:
    """SIGKILL, and Redis forgets all while no sweeper looks."""
    arena.house.is_held_down = True
    for sweeper in arena.house.sweepers:
        arena.house.kill(sweeper)
        arena.kills += 1
    arena.house.redis.client.flushall()
    waiting, flushed = arena.waiting(), time.time()
    threading.Event().wait(lasts)
    arena.house.is_held_down = False
    return _recovery(time.time(), partial(arena.are_dispatched_since, waiting, flushed))


def kill_redis(arena: Arena, lasts: float) -> Recovery:
    """SIGKILL; back with what its append-only file holds."""
    arena.house.redis.stop()
    arena.kills += 1
    threading.Event().wait(lasts)
    arena.house.redis.start()
    since = time.time()
    return _recovery(since, partial(arena.has_resumed, since))


def wipe_redis(arena: Arena, lasts: float) -> Recovery:
    """SIGKILL; back without its data."""
    arena.house.redis.stop()
    arena.kills += 1
    arena.house.forget_redis()
    threading.Event().wait(lasts)
    arena.house.redis.start()
    since = time.time()
    return _recovery(since, partial(arena.has_resumed, since))


def flush_redis(arena: Arena, _: float) -> Recovery:
    """FLUSHALL: each job that waited gets a new message."""
    arena.house.redis.client.flushall()
    since = time.time()
    return _recovery(since, partial(arena.are_dispatched_since, arena.waiting(), since))


def freeze_redis(arena: Arena, lasts: float) -> Recovery:
    """SIGSTOP: its port accepts and it answers nothing."""
    process = arena.house.redis.process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    threading.Event().wait(lasts)
    process.send_signal(signal.SIGCONT)
    since = time.time()
    return _recovery(since, partial(arena.has_resumed, since))


def half_open(arena: Arena, _: float) -> Recovery:
    """All connections to Redis fall silent and are never closed; new ones work."""
    arena.house.order("swallow")
    since = time.time()
    return _recovery(since, partial(arena.has_resumed, since))


def cut_network(arena: Arena, lasts: float) -> Recovery:
    """All connections to Redis are reset and new ones refused."""
    arena.house.order("refuse")
    threading.Event().wait(lasts)
    arena.house.order("pass")
    since = time.time()
    return _recovery(since, partial(arena.has_resumed, since))


def slow_network(arena: Arena, lasts: float) -> Recovery:
    """Every piece of data to and from Redis takes 200 ms longer."""
    arena.house.order("delay 200")
    threading.Event().wait(lasts)
    arena.house.order("pass")
    since = time.time()
    return _recovery(since, partial(arena.has_resumed, since))


def fill_redis(arena: Arena, lasts: float) -> Recovery:
    """maxmemory is reached: it refuses every write that needs more."""
    client = arena.house.redis.client
    client.config_set("maxmemory", 1)
    threading.Event().wait(lasts)
    client.config_set("maxmemory", 0)
    since = time.time()
    return _recovery(since, partial(arena.has_resumed, since))


def lock_operations(arena: Arena, lasts: float) -> Recovery:
    """Somebody holds SQLite's write lock."""
    path = arena.house.url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as connection:
        connection.execute("begin immediate")
        threading.Event().wait(lasts)
        connection.execute("rollback")
    since = time.time()
    return _recovery(since, partial(arena.has_resumed, since))


def fill_disk(arena: Arena, lasts: float) -> Recovery:
    """Not a byte is left where the operations database lies."""
    ballast = arena.house.data_dir / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    threading.Event().wait(lasts)
    ballast.unlink()
    since = time.time()
    return _recovery(since, partial(arena.has_resumed, since))


def put_clock(arena: Arena, lasts: float, *, seconds: int) -> Recovery:
    """The machine's clock jumps, a child dies under the new time, and the clock jumps back."""
    arena.house.put_clock(seconds)
    threading.Event().wait(lasts / 2)
    if (child := arena.busy_child(seconds=2)) is not None:
        child.kill()
        arena.kills += 1
    threading.Event().wait(lasts / 2)
    arena.house.put_clock(0)
    ended = arena.count_ended()
    return _recovery(time.time(), lambda: arena.count_ended() >= ended + _SHOW_OF_LIFE_JOBS)


def restart_postgres(arena: Arena, lasts: float) -> Recovery:
    """The operations database is shut down, ending all sessions, and comes back."""
    assert arena.house.postgres is not None
    arena.house.postgres.stop()
    return _postgres_back(arena, lasts)


def kill_postgres(arena: Arena, lasts: float) -> Recovery:
    """SIGKILL for the operations database, which comes back and repairs itself."""
    assert arena.house.postgres is not None
    arena.house.postgres.kill()
    return _postgres_back(arena, lasts)


def _postgres_back(arena: Arena, lasts: float) -> Recovery:
    assert arena.house.postgres is not None
    arena.kills += 1
    threading.Event().wait(lasts)
    arena.house.postgres.start()
    since = time.time()
    return _recovery(since, partial(arena.has_resumed, since))


def _is_ready(arena: Arena) -> bool:
    try:
        return httpx.get(f"{arena.house.api.url}/readyz", timeout=3).status_code == 200
    except httpx.TransportError:
        return False


ALL: Final = {
    fault.name: fault
    for fault in (
        Fault("child killed", 5, kill_child),
        Fault("worker killed", 30, kill_worker),
        Fault("worker frozen 26 s", 30, freeze_worker, lasts=26),
        Fault("workers restarted in turn", 60, roll_workers),
        Fault("API killed", 30, kill_api),
        Fault("API killed before publishing", 30, kill_api_before_publish),
        Fault("sweeper killed, Redis flushed", 60, kill_sweeper, lasts=3),
        Fault("Redis killed 5 s", 15, kill_redis, lasts=5),
        Fault("Redis killed 60 s", 15, kill_redis, lasts=60),
        Fault("Redis wiped", 15, wipe_redis, lasts=5),
        Fault("Redis flushed", 60, flush_redis),
        Fault("Redis frozen 20 s", 15, freeze_redis, lasts=20),
        Fault("Redis half-open", 30, half_open),
        Fault("Redis unreachable 5 s", 15, cut_network, lasts=5),
        Fault("Redis 200 ms away", 15, slow_network, lasts=8),
        Fault("Redis full 8 s", 15, fill_redis, lasts=8),
        Fault("operations database locked 8 s", 15, lock_operations, lasts=8),
    )
}
DISK_FULL: Final = Fault("disk full 6 s", 15, fill_disk, lasts=6)
OF_CLOCKS: Final = (
    Fault("clock 10 min ahead", 30, partial(put_clock, seconds=600), lasts=6),
    Fault("clock 10 min behind", 30, partial(put_clock, seconds=-600), lasts=6),
)
OF_POSTGRES: Final = {
    fault.name: fault
    for fault in (
        Fault("PostgreSQL restarted, away 5 s", 15, restart_postgres, lasts=5),
        Fault("PostgreSQL killed, away 5 s", 15, kill_postgres, lasts=5),
    )
}
