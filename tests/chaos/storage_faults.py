"""The operations database, its disk, and its clock."""

import sqlite3
import threading
import time
from contextlib import closing, suppress
from typing import Final

from tests.chaos.arena import SHOW_OF_LIFE_JOBS, Arena, Recovery, recovery, resumed
from tests.postgres_server import PostgresServer

_CUTS: Final = 30


def lock_operations(arena: Arena, lasts: float) -> Recovery:
    """Somebody holds SQLite's write lock."""
    path = arena.house.url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as connection:
        connection.execute("begin immediate")
        threading.Event().wait(lasts)
        connection.execute("rollback")
    return resumed(arena)


def fill_disk(arena: Arena, lasts: float) -> Recovery:
    """Not a byte is left where the operations database lies."""
    ballast = arena.house.data_dir / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    threading.Event().wait(lasts)
    ballast.unlink()
    return resumed(arena)


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
    return recovery(time.time(), lambda: arena.count_ended() >= ended + SHOW_OF_LIFE_JOBS)


def restart_postgres(arena: Arena, lasts: float) -> Recovery:
    """The operations database is shut down, ending all sessions, and comes back."""
    _server(arena).stop()
    return _postgres_back(arena, lasts)


def kill_postgres(arena: Arena, lasts: float) -> Recovery:
    """SIGKILL for the operations database, which comes back and repairs itself."""
    _server(arena).kill()
    return _postgres_back(arena, lasts)


def _postgres_back(arena: Arena, lasts: float) -> Recovery:
    arena.kills += 1
    threading.Event().wait(lasts)
    _server(arena).start()
    return resumed(arena)


def freeze_postgres(arena: Arena, lasts: float) -> Recovery:
    """SIGSTOP for the operations database and its backends, as a disk that hangs: it accepts, and answers nothing."""
    _server(arena).freeze()
    threading.Event().wait(lasts)
    _server(arena).thaw()
    return resumed(arena)


def silence_postgres(arena: Arena, _: float) -> Recovery:
    """All connections to the operations database fall silent and are never closed; new ones work."""
    arena.house.order_postgres("swallow")
    return resumed(arena)


def cut_commits(arena: Arena, _: float) -> Recovery:
    """Of some commits nobody hears whether they took place, which they did: the connection is gone right after them."""
    arena.house.order_postgres(f"cut {_CUTS} COMMIT")
    return resumed(arena)


def _server(arena: Arena) -> PostgresServer:
    assert arena.house.postgres is not None
    return arena.house.postgres
