"""One run of bench_landing in a process of its own: `python -m benchmarks.landing_run <what> <parquet> <folder>`.

Prints JSON: seconds, CPU seconds and the greatest memory of the process. Imports are not counted.
"""

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.landing_visits import TABLE
from services.ingest.adapters.landing import land_segment
from services.ingest.adapters.offers import offered_select
from services.ingest.adapters.raw_tables import RAW_TABLES, create_raw_tables
from services.ingest.adapters.spool import Spool, open_spool
from services.ingest.domain.batches import batch_schema
from services.ingest.domain.loads import LandedCounts, Load
from services.ingest.domain.sources import SourceBatch
from shared.settings import WarehouseSettings
from shared.warehouse import Warehouse, open_warehouse

BATCH_ROWS = 50_000


class _Job:
    job_id = "benchmark"
    request: Mapping[str, Any] = {}

    def report(self, phase: str, done: int, total: int | None = None, unit: str = "rows") -> None:
        """Nobody watches."""

    def check(self) -> None:
        """Nobody cancels."""


def run_ours(parquet: Path, folder: Path) -> dict[str, float]:
    """What a worker does with a source's batches: spool, then land. In the folder of an earlier run: once more."""
    warehouse = _open(folder)
    number = len(list(folder.glob("load-*")))
    (folder / f"load-{number}").touch()
    load = Load(f"load-{number}", datetime(2026, 1, 1 + number), "benchmark", "full", True, False)
    with open_spool(folder / "spool") as spool:
        spooling = _seconds(lambda: _fill(spool, parquet))
        counts: list[LandedCounts] = []
        landing = _seconds(lambda: counts.append(_land(warehouse, load, spool)))
    return {"seconds": landing, "spooling_seconds": spooling, **counts[0].to_dict()}


def _land(warehouse: Warehouse, load: Load, spool: Spool) -> LandedCounts:
    return land_segment(_Job(), warehouse, load, spool)[TABLE]


def _fill(spool: Spool, parquet: Path) -> None:
    for rows in _batches(parquet):
        spool.add(SourceBatch(TABLE, rows))


def _batches(parquet: Path) -> Iterator[pa.Table]:
    with pq.ParquetFile(parquet, pre_buffer=False) as file:
        for batch in file.iter_batches(BATCH_ROWS):
            yield pa.Table.from_batches([batch]).cast(batch_schema(TABLE))


def run_bare(parquet: Path, folder: Path) -> dict[str, float]:
    """Parquet -> staging -> MERGE in plain SQL, with the same row hash, by DuckDB as it comes."""
    load = Load("bare", datetime(2026, 1, 1), "benchmark", "full", True, False)
    warehouse = _open(folder)
    with warehouse.core(write=True) as connection:
        create_raw_tables(connection)
    database = folder / "warehouse" / "core.duckdb"

    def merge() -> None:
        with duckdb.connect(str(database)) as connection:
            connection.execute(f"create temporary view staged_{TABLE} as select * from read_parquet('{parquet}')")
            connection.execute(f"create temporary table staging as {offered_select(load, TABLE, 1, 0, 0)}")
            connection.execute(
                f"merge into raw.{TABLE} as stored using staging as offered"
                " on stored.source_system = offered.source_system"
                " and stored.source_record_id = offered.source_record_id"
                " when matched and stored.row_hash <> offered.row_hash then update by name"
                " when not matched then insert by name"
            )

    return {"seconds": _seconds(merge)}


def run_keys(parquet: Path, folder: Path) -> dict[str, float]:
    """How many rows and keys RAW holds, as a check of the others."""
    with _open(folder).core() as connection:
        counted = f"select count(*), count(distinct source_record_id) from raw.{RAW_TABLES[TABLE].name}"
        rows, keys = connection.exec_driver_sql(counted).one()
    return {"rows": rows, "keys": keys}


def _open(folder: Path) -> Warehouse:
    """A long-lived worker has imported the engine's drivers long ago: a first, empty warehouse does so here."""
    with TemporaryDirectory() as empty, _open_in(Path(empty)).core(write=True):
        pass
    return _open_in(folder)


def _open_in(folder: Path) -> Warehouse:
    return open_warehouse(WarehouseSettings(GTM_DATA_DIR=folder))  # type: ignore[call-arg]


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main(what: str, parquet: str, folder: str) -> None:
    """Run and print."""
    runs = {"ours": run_ours, "bare": run_bare, "keys": run_keys}
    figures = runs[what](Path(parquet), Path(folder))
    used = resource.getrusage(resource.RUSAGE_SELF)
    peak = used.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)
    print(json.dumps({**figures, "cpu_seconds": used.ru_utime + used.ru_stime, "peak_mb": peak}))


if __name__ == "__main__":
    main(*sys.argv[1:])
