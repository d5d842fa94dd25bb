"""Landing of generated visits: the whole sync flow over the bare engine's work on the same rows."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import sqlalchemy as sa

from benchmarks.result import BenchmarkResult, compare
from services.ingest.flow import sync_source
from services.ingest.settings import IngestSettings
from shared.settings import WarehouseSettings
from shared.warehouse import open_warehouse

OPTIONS = {"accounts": 2000, "visits": 200_000, "dirt": 0.0, "as_of": "2026-01-01"}


class _Job:
    job_id = "benchmark"
    request: Mapping[str, Any] = {"source": "mock", "mode": "full", "options": OPTIONS}

    def report(self, phase: str, done: int, total: int | None = None, unit: str = "rows") -> None:
        """Nobody watches."""

    def check(self) -> None:
        """Nobody cancels."""


class _States:
    def get(self, source: str) -> dict[str, Any] | None:
        return None

    def put(self, source: str, state: dict[str, Any]) -> None:
        """Every run is the first."""


def run() -> BenchmarkResult:
    """Two ratios: into an empty warehouse, and a repeat that changes nothing."""
    result = BenchmarkResult(
        "landing", f"sync of {OPTIONS['visits']:,} generated visits over Parquet -> MERGE in bare SQL"
    )
    folder = Path(tempfile.mkdtemp(prefix="gtm-bench-"))
    try:
        _sync(folder / "source")
        parquet = _export(folder)
        fresh = _Fresh(folder)
        compare(result, "first_sync", lambda: _sync(fresh.next()), lambda: _merge_bare(fresh.next_file(), parquet))
        compare(
            result, "repeat", lambda: _sync(folder / "source"), lambda: _merge_bare(folder / "bare.duckdb", parquet)
        )
    finally:
        shutil.rmtree(folder)
    return result


class _Fresh:
    """A new warehouse for each run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def next(self) -> Path:
        self._count += 1
        return self._folder / f"warehouse-{self._count}"

    def next_file(self) -> Path:
        return self.next().with_suffix(".duckdb")


def _sync(data_dir: Path) -> None:
    warehouse = open_warehouse(WarehouseSettings(GTM_DATA_DIR=data_dir))  # type: ignore[call-arg]
    settings = IngestSettings(GTM_DATA_DIR=data_dir)  # type: ignore[call-arg]
    sync_source(_Job(), warehouse, settings, _States())


def _export(folder: Path) -> Path:
    """What the sync landed, as the Parquet that the baseline reads."""
    path = folder / "visits.parquet"
    warehouse = open_warehouse(WarehouseSettings(GTM_DATA_DIR=folder / "source"))  # type: ignore[call-arg]
    with warehouse.core() as connection:
        rows = connection.execute(sa.text("select * from raw.hubspot_web_visits")).cursor
        assert rows is not None
        pq.write_table(rows.fetch_arrow_table(), path)
    return path


def _merge_bare(database: Path, parquet: Path) -> None:
    with duckdb.connect(str(database)) as connection:
        connection.execute(
            f"create table if not exists visits as select * from read_parquet('{parquet}') limit 0;"
            " create unique index if not exists visits_key on visits (source_system, source_record_id);"
            f" create temporary table staged as select * from read_parquet('{parquet}');"
            " merge into visits as stored using staged as offered"
            " on stored.source_system = offered.source_system and stored.source_record_id = offered.source_record_id"
            " when matched and stored.row_hash <> offered.row_hash then update"
            " when not matched then insert"
        )
