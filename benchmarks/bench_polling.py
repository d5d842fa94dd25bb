"""Polling a job over HTTP: `GET /v1/jobs/{id}` over a FastAPI route that returns a constant."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket

import httpx

from benchmarks.result import BenchmarkResult, compare
from shared.contracts import JobKind
from shared.jobs.store import JobStore
from shared.operations.database import OperationsDatabase
from shared.operations.migrate import migrate

REQUESTS = 400
HELLO = """
from fastapi import FastAPI

app = FastAPI()


@app.get("/")
async def hello() -> dict[str, str]:
    return {"hello": "world"}
"""


def run() -> BenchmarkResult:
    """One ratio: seconds for 400 requests over one connection."""
    result = BenchmarkResult(
        "polling", f"{REQUESTS} x GET /v1/jobs/{{id}} over {REQUESTS} x hello world, one connection"
    )
    with tempfile.TemporaryDirectory(prefix="gtm-bench-") as name:
        folder = Path(name)
        (folder / "hello.py").write_text(HELLO)
        url = f"sqlite:///{folder / 'operations.sqlite3'}"
        migrate(url)
        job = JobStore(OperationsDatabase(url)).start(JobKind.BUILD, {}).job
        with _serve("services.transform.api:app", folder) as ours, _serve("hello:app", folder) as hello:
            compare(result, "poll", lambda: _get(f"{ours}/v1/jobs/{job.id}"), lambda: _get(f"{hello}/"))
    return result


def _get(url: str) -> None:
    with httpx.Client() as client:
        for _ in range(REQUESTS):
            client.get(url).raise_for_status()


@contextmanager
def _serve(app: str, folder: Path) -> Iterator[str]:

    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    paths = os.pathsep.join([os.getcwd(), str(folder)])
    env = {**os.environ, "GTM_DATA_DIR": str(folder), "GTM_ENV": "local", "PYTHONPATH": paths}
    command = [sys.executable, "-m", "uvicorn", app, "--port", str(port), "--log-level", "error", "--no-access-log"]
    server = subprocess.Popen(command, env=env)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                httpx.get(url)
                break
            except httpx.TransportError:
                if server.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        yield url
    finally:
        server.terminate()
        server.wait(20)
