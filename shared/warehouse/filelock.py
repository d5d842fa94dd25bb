"""A lock between processes around every opening of a DuckDB file.

DuckDB lets one process write a file or several read it, and answers anyone else with an error; `flock` turns that into
waiting. The kernel drops the lock with the process, so a killed worker leaves none behind.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.errors import TransientError

_POLL_SECONDS = 0.01


@contextmanager
def file_lock(path: Path, *, exclusive: bool, timeout_seconds: float) -> Iterator[None]:
    """Hold `<path>.lock`: exclusive to write, shared to read.

    Raises:
        TransientError: `warehouse-busy`, when another process held it for the whole timeout.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _acquire(descriptor, path, exclusive=exclusive, timeout_seconds=timeout_seconds)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, *, exclusive: bool, timeout_seconds: float) -> None:
    mode = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    deadline = time.monotonic() + timeout_seconds
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
