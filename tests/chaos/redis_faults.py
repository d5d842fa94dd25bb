"""Redis that is killed, emptied, frozen and full, and the network before it."""

import signal
import threading
import time
from functools import partial

from tests.chaos.arena import Arena, Recovery, recovery, resumed


def kill_redis(arena: Arena, lasts: float) -> Recovery:
    """SIGKILL; back with what its append-only file holds."""
    arena.house.redis.stop()
    arena.kills += 1
    threading.Event().wait(lasts)
    arena.house.redis.start()
    return resumed(arena)


def wipe_redis(arena: Arena, lasts: float) -> Recovery:
    """SIGKILL; back without its data."""
    arena.house.redis.stop()
    arena.kills += 1
    arena.house.forget_redis()
    threading.Event().wait(lasts)
    arena.house.redis.start()
    return resumed(arena)


def flush_redis(arena: Arena, _: float) -> Recovery:
    """FLUSHALL: each job that waited gets a new message."""
    arena.wait_waiting()
    arena.house.redis.client.flushall()
    since = time.time()
    missing = arena.without_message()
    return recovery(since, partial(arena.are_owed_nothing, missing), held=len(missing))


def freeze_redis(arena: Arena, lasts: float) -> Recovery:
    """SIGSTOP: its port accepts and it answers nothing."""
    process = arena.house.redis.process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    threading.Event().wait(lasts)
    process.send_signal(signal.SIGCONT)
    return resumed(arena)


def half_open(arena: Arena, _: float) -> Recovery:
    """All connections to Redis fall silent and are never closed; new ones work."""
    arena.house.order("swallow")
    return resumed(arena)


def cut_network(arena: Arena, lasts: float) -> Recovery:
    """All connections to Redis are reset and new ones refused."""
    arena.house.order("refuse")
    threading.Event().wait(lasts)
    arena.house.order("pass")
    return resumed(arena)


def slow_network(arena: Arena, lasts: float) -> Recovery:
    """Every piece of data to and from Redis takes 200 ms longer."""
    arena.house.order("delay 200")
    threading.Event().wait(lasts)
    arena.house.order("pass")
    return resumed(arena)


def fill_redis(arena: Arena, lasts: float) -> Recovery:
    """maxmemory is reached: it refuses every write that needs more."""
    client = arena.house.redis.client
    client.config_set("maxmemory", 1)
    threading.Event().wait(lasts)
    client.config_set("maxmemory", 0)
    return resumed(arena)
