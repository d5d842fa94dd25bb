"""Acknowledging HubSpot's calls of 100 events over a route that only takes the same body, ten calls at a time.

SQLite on this machine, each call one committed transaction; workers are away, so only the acknowledgement is measured.
"""

import asyncio
import base64
import hmac
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket

import httpx

from benchmarks.result import BenchmarkResult
from shared.operations.migrate import migrate

CALLS, AT_ONCE, EVENTS, ACCOUNTS, RUNS = 120, 10, 100, 21, 5
SECRET, PUBLIC_URL, PATH = "a-client-secret", "https://gtm.example.com", "/v1/webhooks/hubspot"
BARE = """
from fastapi import FastAPI, Request

app = FastAPI()


@app.post("/v1/webhooks/hubspot", status_code=202)
async def take(request: Request) -> int:
    return len(await request.body())
"""


def run() -> BenchmarkResult:
    """One ratio: seconds for 120 calls. Figures: milliseconds until a call is acknowledged, of all runs together."""
    what = f"{CALLS} calls of {EVENTS} events on {ACCOUNTS} companies, {AT_ONCE} at a time, over the bare route"
    result = BenchmarkResult("webhooks", what, runs=RUNS)
    with tempfile.TemporaryDirectory(prefix="gtm-bench-") as name:
        folder = Path(name)
        (folder / "bare.py").write_text(BARE)
        migrate(f"sqlite:///{folder / 'operations.sqlite3'}")
        with _serve("services.scoring.api:app", folder) as ours, _serve("bare:app", folder) as bare:
            _measure(result, {"baseline": bare, "ours": ours})
    return result


def _measure(result: BenchmarkResult, urls: dict[str, str]) -> None:
    seconds: dict[str, list[float]] = {side: [] for side in urls}
    waits: dict[str, list[float]] = {side: [] for side in urls}
    asyncio.run(_deliver_all(urls["ours"], -1))  # what is loaded at the first call
    for number in range(RUNS):
        for side, url in urls.items():
            started = time.perf_counter()
            waits[side] += asyncio.run(_deliver_all(url, number))
            seconds[side].append(time.perf_counter() - started)
    medians = {side: statistics.median(values) for side, values in seconds.items()}
    result.ratios["acknowledge"] = round(medians["ours"] / medians["baseline"], 3)
    result.seconds |= {f"acknowledge_{side}": round(value, 3) for side, value in medians.items()}
    for side, values in waits.items():
        cuts = statistics.quantiles(values, n=100, method="inclusive")
        result.figures |= {f"{side}_p50_ms": round(cuts[49] * 1000, 1), f"{side}_p99_ms": round(cuts[98] * 1000, 1)}
        result.figures[f"{side}_longest_ms"] = round(max(values) * 1000, 1)
    result.figures["events_a_second"] = round(CALLS * EVENTS / medians["ours"])


async def _deliver_all(url: str, number: int) -> list[float]:
    turn = asyncio.Semaphore(AT_ONCE)

    async def deliver(client: httpx.AsyncClient, call: int) -> float:
        async with turn:
            body = _to_body(number * CALLS + call)
            headers = _sign(body)
            asked = time.perf_counter()
            response = await client.post(url + PATH, content=body, headers=headers)
            response.raise_for_status()
            return time.perf_counter() - asked

    async with httpx.AsyncClient(timeout=60) as client:
        return await asyncio.gather(*(deliver(client, call) for call in range(CALLS)))


def _to_body(call: int) -> bytes:
    return json.dumps(
        [
            {
                "eventId": call * EVENTS + step,
                "subscriptionId": 12345,
                "portalId": 62515,
                "appId": 54321,
                "occurredAt": 1_700_000_000_000 + call,
                "subscriptionType": "company.propertyChange",
                "attemptNumber": 0,
                "objectId": step % ACCOUNTS,
                "propertyName": "fleet_size",
                "propertyValue": str(step),
                "changeSource": "CRM_UI",
            }
            for step in range(EVENTS)
        ]
    ).encode()


def _sign(body: bytes) -> dict[str, str]:
    sent = str(int(time.time() * 1000))
    digest = hmac.digest(SECRET.encode(), b"POST" + (PUBLIC_URL + PATH).encode() + body + sent.encode(), "sha256")
    return {"X-HubSpot-Signature-v3": base64.b64encode(digest).decode(), "X-HubSpot-Request-Timestamp": sent}


@contextmanager
def _serve(app: str, folder: Path) -> Iterator[str]:
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {**os.environ, "GTM_DATA_DIR": str(folder), "GTM_ENV": "local", "REDIS_URL": "redis://127.0.0.1:1"}
    env |= {"GTM_HUBSPOT_WEBHOOK_SECRET": SECRET, "GTM_PUBLIC_URL": PUBLIC_URL, "GTM_LOG_LEVEL": "ERROR"}
    env["PYTHONPATH"] = os.pathsep.join([os.getcwd(), str(folder)])
    command = [sys.executable, "-m", "uvicorn", app, "--port", str(port), "--log-level", "error", "--no-access-log"]
    server = subprocess.Popen(command, env=env)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(url, server)
        yield url
    finally:
        server.terminate()
        server.wait(20)


def _wait_for(url: str, server: "subprocess.Popen[bytes]", seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            httpx.get(url)
            return
        except httpx.TransportError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
