"""Batches on disk: in Parquet, in order, and gone with their process."""

import multiprocessing
import os
import signal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from services.ingest.adapters import spool as spool_module
from services.ingest.adapters.spool import open_spool
from tests.conftest import wait_until
from tests.ingest.segment_landing import batch

TABLE = "hubspot_contacts"


def test_rows_keep_their_order_whatever_the_batches(tmp_path: Path) -> None:
    with open_spool(tmp_path) as spool:
        for number in range(7):
            spool.add(batch(TABLE, *({"id": str(number * 10 + place)} for place in range(number))))
        rows = spool.read_rows(TABLE)
        read = pq.read_table(rows.files[0]).select(["id", "arrival"]).to_pylist()
    assert rows.count == spool.rows == 21
    assert [row["arrival"] for row in read] == list(range(21))
    assert [int(row["id"]) for row in read] == sorted(int(row["id"]) for row in read)
    assert not list(tmp_path.glob("segment-*"))


def test_a_large_table_is_several_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "_ROWS_OF_A_GROUP", 2)
    with open_spool(tmp_path) as spool:
        monkeypatch.setattr(spool_module, "_BYTES_OF_A_FILE", 1)
        for number in range(6):
            spool.add(batch(TABLE, {"id": str(number)}))
        monkeypatch.setattr(spool_module, "_BYTES_OF_A_FILE", 1_000_000)
        for number in range(6, 11):
            spool.add(batch(TABLE, {"id": str(number)}))
        rows = spool.read_rows(TABLE)
        read = [pq.read_table(file).column("arrival").to_pylist() for file in rows.files]
    assert (rows.count, read) == (11, [[0, 1], [2, 3], [4, 5], [6, 7, 8, 9, 10]])


def test_no_rows_are_no_file(tmp_path: Path) -> None:
    with open_spool(tmp_path) as spool:
        spool.add(batch(TABLE))
        assert (spool.tables, spool.rows, spool.read_rows(TABLE).files) == ([TABLE], 0, ())


def _fill_and_hang(folder: Path) -> None:
    with open_spool(folder) as spool:
        spool.add(batch(TABLE, {"id": "1"}))
        spool.read_rows(TABLE)
        signal.pause()


def test_what_a_killed_process_left_goes_with_the_next_spool_and_no_other(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    killed, alive = (context.Process(target=_fill_and_hang, args=(tmp_path,)) for _ in range(2))
    for process in (killed, alive):
        process.start()
    wait_until(lambda: len(list(tmp_path.glob("segment-*/*.parquet"))) == 2, "both have written")
    assert killed.pid is not None
    os.kill(killed.pid, signal.SIGKILL)
    killed.join()
    with open_spool(tmp_path):
        assert len(list(tmp_path.glob("segment-*"))) == 2  # the living one's and ours
    alive.kill()
    alive.join()
