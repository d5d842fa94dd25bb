"""Workers, APIs and sweepers that are killed, frozen and restarted."""

import signal
import threading
import time
from functools import partial
from typing import Final

import httpx
import psutil

from tests.chaos.arena import Arena, Hold, Recovery, recovery
from tests.conftest import wait_until
from tests.servers import Server

_LOOK_SECONDS: Final = 0.1
_FREEZES: Final = 20  # tries to catch a worker with a job in its hands


def kill_child(arena: Arena, _: float) -> Recovery:
    """SIGKILL for a process of a pool while it holds a job, as the kernel does when memory runs out."""
    child = arena.busy_child()
    assert child is not None, "nothing to kill: no job runs"
    child.kill()
    since = time.time()
    arena.kills += 1
    holds = arena.held_by({child.pid})
    return recovery(since, partial(arena.are_taken_over, holds), held=len(holds))


def kill_worker(arena: Arena, _: float) -> Recovery:
    """SIGKILL for a worker that holds a job, and its children; another one starts, as a supervisor would see to."""
    worker = arena.busy_worker()
    arena.house.wait_children(worker)
    pids = arena.pids(worker)
    arena.house.kill(worker)
    since = time.time()
    arena.kills += 1
    holds = arena.held_by(pids)
    return recovery(since, partial(arena.are_taken_over, holds), held=len(holds))


def freeze_worker(arena: Arena, lasts: float) -> Recovery:
    """SIGSTOP for longer than a lease, with a job in its hands: others take over, then it goes on and does no harm."""
    worker, children, holds = _freeze_busy(arena)
    since = time.time()
    taken_over = recovery(since, partial(arena.are_taken_over, holds), held=len(holds))
    while time.time() < since + lasts:
        if taken_over.seconds is None and taken_over.is_over():
            taken_over.seconds = time.time() - since
        threading.Event().wait(_LOOK_SECONDS)
    _thaw(worker, children)
    return taken_over


def _freeze_busy(arena: Arena) -> tuple[Server, list[psutil.Process], list[Hold]]:
    """A worker may end its job between the look and the signal: then it goes on, and it is tried again."""
    for _ in range(_FREEZES):
        worker = arena.busy_worker()
        arena.house.wait_children(worker)
        children, pids = arena.house.children(worker), arena.pids(worker)
        worker.process.send_signal(signal.SIGSTOP)
        for child in children:
            child.suspend()
        if holds := arena.held_by(pids):
            break
        _thaw(worker, children)
    return worker, children, holds


def _thaw(worker: Server, children: list[psutil.Process]) -> None:
    for child in children:
        child.resume()
    worker.process.send_signal(signal.SIGCONT)


def roll_workers(arena: Arena, _: float) -> Recovery:
    """SIGTERM one after the other, as an update does: each is gone within its grace and fails no job."""
    since = time.time()
    for worker in arena.house.workers:
        arena.house.wait_children(worker)
        arena.house.stop(worker)
        arena.house.wait_children(worker)
    return recovery(since, partial(arena.has_resumed, time.time()))


def kill_api(arena: Arena, _: float) -> Recovery:
    """SIGKILL in the midst of requests."""
    arena.house.kill(arena.house.api)
    since = time.time()
    arena.kills += 1
    return recovery(since, lambda: _is_ready(arena))


def kill_api_before_publish(arena: Arena, _: float) -> Recovery:
    """SIGKILL between the commit of jobs and their messages, which are still on their way to Redis and are lost."""
    known = arena.without_message()
    arena.house.order("delay 5000")
    wait_until(lambda: arena.without_message() - known, "a job is stored whose message is on its way", seconds=20)
    arena.house.kill(arena.house.api)
    since = time.time()
    arena.kills += 1
    arena.house.order("refuse")  # what is on its way goes down with its connection
    arena.house.order("pass")
    missing = arena.without_message() - known
    return recovery(since, partial(arena.are_owed_nothing, missing), held=len(missing))


def kill_sweeper(arena: Arena, lasts: float) -> Recovery:
    """SIGKILL, and Redis forgets all while no sweeper looks."""
    arena.wait_waiting()
    arena.house.is_held_down = True
    for sweeper in arena.house.sweepers:
        arena.house.kill(sweeper)
        arena.kills += 1
    arena.house.redis.client.flushall()
    missing = arena.without_message()
    threading.Event().wait(lasts)
    arena.house.is_held_down = False
    return recovery(time.time(), partial(arena.are_owed_nothing, missing), held=len(missing))


def _is_ready(arena: Arena) -> bool:
    try:
        return httpx.get(f"{arena.house.api.url}/readyz", timeout=3).status_code == 200
    except httpx.TransportError:
        return False
