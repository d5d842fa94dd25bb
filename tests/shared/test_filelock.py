"""The lock around a DuckDB file: readers together, a writer alone, and nobody left out."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shared.errors import TransientError
from shared.warehouse.filelock import file_lock
from tests.conftest import wait_until

HOLD_SECONDS = 0.05


@contextmanager
def readers(path: Path, count: int) -> Iterator[None]:
    """Threads that read all the time, each for 50 ms, so that one of them always holds the lock."""
    stop, reading = threading.Event(), threading.Semaphore(0)

    def read() -> None:
        while not stop.is_set():
            with file_lock(path, exclusive=False, timeout_seconds=10):
                reading.release()
                stop.wait(HOLD_SECONDS)

    threads = [threading.Thread(target=read) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        for _ in threads:
            assert reading.acquire(timeout=5)
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_overlapping_readers_do_not_keep_a_writer_out(tmp_path: Path) -> None:
    path = tmp_path / "outbound.duckdb"
    with readers(path, 4):
        for _ in range(3):
            with file_lock(path, exclusive=True, timeout_seconds=2):
                pass


def test_readers_and_writers_all_get_their_turn(tmp_path: Path) -> None:
    path = tmp_path / "core.duckdb"
    inside = {"readers": 0, "writers": 0}
    seen: list[tuple[int, int]] = []
    guard = threading.Lock()

    def work(kind: str) -> None:
        for _ in range(10):
            with file_lock(path, exclusive=kind == "writers", timeout_seconds=20):
                with guard:
                    inside[kind] += 1
                    seen.append((inside["readers"], inside["writers"]))
                threading.Event().wait(0.002)
                with guard:
                    inside[kind] -= 1

    threads = [threading.Thread(target=work, args=(kind,)) for kind in ("readers", "writers") for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(seen) == 60
    assert all(writers == 0 or (readers, writers) == (0, 1) for readers, writers in seen)


def test_the_timeout_covers_the_wait_behind_a_waiting_writer(tmp_path: Path) -> None:
    path = tmp_path / "core.duckdb"

    def write() -> None:
        with file_lock(path, exclusive=True, timeout_seconds=20):
            pass

    with file_lock(path, exclusive=False, timeout_seconds=1):
        writer = threading.Thread(target=write)
        writer.start()
        wait_until(lambda: _is_refused(path), "the writer waits at the turnstile", poll=0.01)
    writer.join(20)
    assert not _is_refused(path)


def test_a_child_that_was_forked_meanwhile_keeps_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "core.duckdb"
    end, parents_end = os.pipe()
    with file_lock(path, exclusive=True, timeout_seconds=1):
        child = os.fork()
        if child == 0:
            os.close(parents_end)
            os.read(end, 1)  # until the parent closes its end
            os._exit(0)
    try:
        with file_lock(path, exclusive=True, timeout_seconds=0.2):
            pass
    finally:
        os.close(parents_end)
        os.waitpid(child, 0)
        os.close(end)


def _is_refused(path: Path) -> bool:
    try:
        with file_lock(path, exclusive=False, timeout_seconds=0.02):
            return False
    except TransientError as error:
        assert error.code == "warehouse-busy"
        return True


def test_a_writer_that_gave_up_leaves_the_turnstile_open(tmp_path: Path) -> None:
    path = tmp_path / "core.duckdb"
    with file_lock(path, exclusive=False, timeout_seconds=1):
        with pytest.raises(TransientError, match="held core.duckdb"):
            with file_lock(path, exclusive=True, timeout_seconds=0.05):
                raise AssertionError("a writer beside a reader")
        assert not _is_refused(path)
