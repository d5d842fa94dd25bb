"""SQLite has no queue for writers: the threads of a process stand in line before they ask for its lock."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from shared.operations.database import WORKER_PATIENCE, OperationsDatabase


@pytest.fixture
def impatient(tmp_path: Path) -> OperationsDatabase:
    """SQLite itself doesn't wait for a lock at all: whoever meets another writer there fails at once."""
    opened = OperationsDatabase(f"sqlite:///{tmp_path / 'o.sqlite3'}", patience=replace(WORKER_PATIENCE, lock=0))
    with opened.write() as session:
        session.execute(sa.text("create table counted (number integer)"))
    return opened


def test_ten_threads_that_write_at_once_all_get_their_turn(impatient: OperationsDatabase) -> None:
    start = threading.Barrier(10)

    def write(number: int) -> None:
        start.wait(20)
        for _ in range(5):
            with impatient.write() as session:
                session.execute(sa.text("insert into counted values (:number)"), {"number": number})

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(write, range(10)))
    with impatient.read() as session:
        assert session.execute(sa.text("select count(*) from counted")).scalar_one() == 50


def test_a_turn_that_does_not_come_is_an_error_and_a_failed_writer_leaves_the_line(
    impatient: OperationsDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(impatient, "_patience", replace(WORKER_PATIENCE, turn=0.05))

    def write() -> None:
        with impatient.write() as session:
            session.execute(sa.text("insert into counted values (1)"))

    with ThreadPoolExecutor(1) as pool:
        with impatient.write():
            with pytest.raises(sa.exc.TimeoutError, match="other writers"):
                pool.submit(write).result()
        with pytest.raises(sa.exc.OperationalError), impatient.write() as session:
            session.execute(sa.text("insert into nowhere values (1)"))
        pool.submit(write).result()
