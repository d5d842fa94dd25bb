"""A build at scale: dbt with all tests over its own SQL run bare, a day's change over the whole, memory, a repeat.

BENCH_VISITS and BENCH_RUNS make it smaller: 500000 visits take a minute or two, 10,000,000 (the default) much longer.
"""

import json
import os
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import psutil

from benchmarks.build_data import Size, land_a_day, land_market
from benchmarks.result import BenchmarkResult
from services.transform.adapters.dbt import DbtBuild, DbtOutcome, run_dbt_build
from services.transform.adapters.weights_file import read_scoring_weights
from services.transform.settings import TransformSettings
from shared.settings import WarehouseSettings
from shared.warehouse import Warehouse, open_warehouse

VISITS = int(os.environ.get("BENCH_VISITS", "10000000"))
RUNS = int(os.environ.get("BENCH_RUNS", "2"))
_INCREMENTAL = {
    "analytics_staging.base_hubspot__web_visits",
    "analytics_staging.int_touchpoints",
    "analytics.fct_revenue_attribution",
}


@dataclass
class _House:
    """A warehouse, and what builds in it took."""

    data_dir: Path
    warehouse: Warehouse = field(init=False)
    peak_bytes: int = 0

    def __post_init__(self) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.warehouse = open_warehouse(WarehouseSettings(GTM_DATA_DIR=self.data_dir))  # type: ignore[call-arg]

    @property
    def database(self) -> Path:
        with self.warehouse.reserve_core() as environment:
            return Path(environment["GTM_DUCKDB_CORE_PATH"])

    def build(self, name: str, *select: str) -> tuple[float, DbtOutcome]:
        """Seconds, and what dbt did. Raises RuntimeError when a node failed."""
        settings = TransformSettings(GTM_DATA_DIR=self.data_dir)
        weights, version = read_scoring_weights(settings.scoring_weights_path)
        with self.warehouse.reserve_core() as environment:
            build = DbtBuild(
                project_dir=settings.dbt_project_dir,
                work_dir=settings.dbt_dir,
                run_name=name,
                environment=environment,
                variables={**settings.to_variables(), "scoring_weights": weights.to_rows(), "weights_version": version},
                threads=settings.dbt_threads,
                memory_limit=settings.duckdb_memory_limit,
                stop_seconds=settings.dbt_stop_seconds,
                select=select,
                is_exact=bool(select),
            )
            started = time.perf_counter()
            outcome = run_dbt_build(build, lambda node, done, total: None, self._watch_memory)
            seconds = time.perf_counter() - started
        bad = [
            f"{node.node}: {node.status} {node.message}"
            for node in outcome.results
            if node.status in ("failed", "skipped")
        ]
        if outcome.exit_code or bad:
            raise RuntimeError("\n".join(bad) or outcome.error or outcome.tail)
        return seconds, outcome

    def _watch_memory(self) -> None:
        """The kernel's high-water mark of dbt's process, twice a second."""
        for child in psutil.Process().children(recursive=True):
            try:
                status = Path(f"/proc/{child.pid}/status").read_text()
            except OSError:
                continue  # it has just ended
            mark = re.search(r"VmHWM:\s+(\d+) kB", status)
            self.peak_bytes = max(self.peak_bytes, int(mark[1]) * 1024 if mark else 0)


def run() -> BenchmarkResult:
    """Ratios: the full build over bare SQL and dbt's start, a day of 1 % and a repeat over the full build."""
    size = Size(VISITS, VISITS // 500, VISITS // 200)
    result = BenchmarkResult(
        "build",
        f"dbt build of {size.visits:,} visits, {size.accounts:,} accounts, {size.opportunities:,} opportunities",
        runs=RUNS,
    )
    folder = Path(tempfile.mkdtemp(prefix="gtm-bench-", dir=os.environ.get("BENCH_FOLDER")))
    try:
        _measure(result, folder, size)
    finally:
        shutil.rmtree(folder)
    return result


def _measure(result: BenchmarkResult, folder: Path, size: Size) -> None:
    horizon = datetime.now(UTC).replace(tzinfo=None, microsecond=0) - timedelta(hours=24)
    house, landed = _House(folder / "house"), folder / "landed.duckdb"
    land_market(house.warehouse, size, horizon)
    shutil.copy(house.database, landed)
    house.build("parse", "int_scoring_weights")  # what a service has parsed once stays parsed
    starts, fulls, bares = [], [], []
    for number in range(RUNS):
        shutil.copy(landed, house.database)
        starts.append(house.build(f"start-{number}", "int_scoring_weights")[0])
        seconds, outcome = house.build(f"full-{number}")
        fulls.append(seconds)
        bares.append(_run_bare(landed, folder / "bare.duckdb", house.data_dir / "dbt" / "runs" / f"full-{number}"))
    full, bare, start = (statistics.median(values) for values in (fulls, bares, starts))
    _note(result, "full_build", full, bare + start)
    _tell_slowest("full build", outcome)
    land_a_day(house.warehouse, size, horizon + timedelta(hours=23))
    seconds, outcome = house.build("day")
    _note(result, "one_percent_day", seconds, full)
    _tell_slowest("1 % day", outcome)
    result.figures |= {
        f"rows_of_the_day_in_{name}": float(_rows_of(house, name, outcome)) for name in sorted(_INCREMENTAL)
    }
    seconds, outcome = house.build("repeat")
    _note(result, "repeat", seconds, full)
    _tell_slowest("repeat", outcome)
    result.figures["rows_touched_by_a_repeat"] = float(sum(_rows_of(house, name, outcome) for name in _INCREMENTAL))
    result.figures |= {"peak_memory_gib": round(house.peak_bytes / 2**30, 2), "dbt_start_seconds": round(start, 1)}
    result.figures["bare_sql_seconds"] = round(bare, 1)


def _note(result: BenchmarkResult, name: str, ours: float, baseline: float) -> None:
    result.ratios[name] = round(ours / baseline, 3)
    result.seconds |= {f"{name}_ours": round(ours, 1), f"{name}_baseline": round(baseline, 1)}


def _run_bare(landed: Path, copy: Path, run_dir: Path) -> float:
    """Every statement that dbt ran for a model or a test, one after the other, as dbt wrote it to target/run."""
    shutil.copy(landed, copy)
    statements = list(_statements(run_dir))
    limit, spill = TransformSettings().duckdb_memory_limit, copy.with_suffix(".tmp")
    settings = {"memory_limit": limit, "temp_directory": str(spill), "preserve_insertion_order": "false"}
    copied = copy.with_name("core.duckdb")
    copy.replace(copied)  # dbt's SQL names the catalog, which is named after the file
    with duckdb.connect(str(copied), config=settings) as connection:
        for schema in ("analytics", "analytics_staging"):
            connection.execute(f"create schema if not exists {schema}")
        started = time.perf_counter()
        for statement in statements:
            connection.execute(statement)
            connection.fetchall()
        seconds = time.perf_counter() - started
    copied.unlink()
    return seconds


def _statements(run_dir: Path) -> Iterator[str]:
    results = json.loads((run_dir / "target" / "run_results.json").read_bytes())["results"]
    manifest = json.loads((run_dir / "target" / "manifest.json").read_bytes())["nodes"]
    for outcome in sorted(results, key=lambda item: item["timing"][-1]["started_at"] if item["timing"] else ""):
        node = manifest.get(outcome["unique_id"])
        if node is None or node["resource_type"] not in ("model", "test", "snapshot"):
            continue
        path = run_dir / "target" / "run" / node["package_name"] / node["original_file_path"]
        path = path / node["path"].split("/")[-1] if path.suffix in (".yml", ".yaml") else path
        if path.exists():
            yield path.read_text().replace("__dbt_tmp", "")
        else:
            sys.stdout.write(f"  not run bare: {node['name']}\n")


def _rows_of(house: _House, name: str, outcome: DbtOutcome) -> int:
    with duckdb.connect(str(house.database), read_only=True) as connection:
        row = connection.execute(f"select count(*) from {name} where dbt_run_id = '{outcome.invocation_id}'").fetchone()
    assert row is not None
    return int(row[0])


def _tell_slowest(what: str, outcome: DbtOutcome) -> None:
    sys.stdout.write(f"  slowest nodes of the {what}:\n")
    for node in sorted(outcome.results, key=lambda node: node.seconds or 0, reverse=True)[:12]:
        sys.stdout.write(f"    {node.seconds or 0:7.1f} s  {node.kind} {node.node}\n")
