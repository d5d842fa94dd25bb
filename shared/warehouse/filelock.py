"""A lock between processes around every opening of a DuckDB file.

DuckDB lets one process write a file or several read it, and answers anyone else with an error; `flock` turns that into
waiting. The kernel drops the lock with the process, so a killed worker leaves none behind.

`flock` alone starves writers: readers that overlap (polls of GET /v1/leads) never leave a moment without a shared lock.
So there is a turnstile before it: a waiting writer keeps it shut, a reader passes through it. Whoever holds the lock
never waits for its turnstile, unless a thread nests two readings of one file: don't.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from shared.errors import TransientError

_POLL_SECONDS = 0.01


@contextmanager
def file_lock(path: Path, *, exclusive: bool, timeout_seconds: float) -> Iterator[None]:
    """Hold `<path>.lock`: exclusive to write, shared to read.

    Raises:
        TransientError: `warehouse-busy`, when others held it, or waited before us, for the whole timeout.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    turnstile, lock = path.with_name(path.name + ".turn.lock"), path.with_name(path.name + ".lock")
    mode = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    deadline = time.monotonic() + timeout_seconds
    with ExitStack() as held:
        with _opened(turnstile) as turn:
            _acquire(turn, mode, deadline, path, timeout_seconds)
            if not exclusive:
                fcntl.flock(turn, fcntl.LOCK_UN)
            _acquire(held.enter_context(_opened(lock)), mode, deadline, path, timeout_seconds)
        yield


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        try:
            # Closing is not enough: a child that was forked meanwhile has the descriptor too, and with it the lock.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        finally:
            os.close(descriptor)


def _acquire(descriptor: int, mode: int, deadline: float, path: Path, timeout_seconds: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise TransientError(
                    f"Another process held {path.name} for {timeout_seconds:.0f} s. Wait for the running job, "
                    "or raise GTM_WAREHOUSE_LOCK_TIMEOUT_SECONDS.",
                    code="warehouse-busy",
                    title="The warehouse is busy",
                ) from None
            time.sleep(_POLL_SECONDS)
