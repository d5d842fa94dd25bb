"""Nothing that runs by itself touches the warehouse: probes, metrics and the sweeper would keep it awake, and it is
paid for by the second."""

import asyncio
import socket
import threading
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI

from services.scoring.api import app as scoring
from shared import settings
from shared.celery_app import make_celery
from shared.contracts import JobKind
from shared.http import create_app
from shared.jobs.store import JobStore
from shared.jobs.sweeper import Sweeper
from shared.operations.database import OperationsDatabase
from tests.conftest import RedisServer


class Counted:
    """Where Snowflake should be: takes every connection, counts it, and hangs up."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.connections = 0
        threading.Thread(target=self._take, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _take(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:  # closed
                return
            self.connections += 1
            connection.close()


@pytest.fixture
def snowflake(monkeypatch: pytest.MonkeyPatch, operations: OperationsDatabase) -> Iterator[Counted]:
    """The product believes that it is on Snowflake."""
    counted = Counted()
    named = {f"SNOWFLAKE_{key}": "gtm" for key in ("ACCOUNT", "USER", "PASSWORD", "WAREHOUSE", "DATABASE", "ROLE")}
    address = {"HOST": "127.0.0.1", "PORT": counted.port, "PROTOCOL": "http", "LOGIN_TIMEOUT_SECONDS": 1}
    named |= {f"GTM_SNOWFLAKE_{key}": str(value) for key, value in address.items()}
    for name, value in {**named, "GTM_WAREHOUSE": "snowflake"}.items():
        monkeypatch.setenv(name, value)
    settings.warehouse_settings.cache_clear()
    JobStore(operations).start(JobKind.SCORING, {})
    yield counted
    counted.close()


def test_probes_metrics_and_polls_leave_the_warehouse_asleep_and_who_reads_leads_wakes_it(snowflake: Counted) -> None:
    """Of the frame that all APIs have, and of scoring's own route."""
    (job,) = get(create_app("any", "The frame."), "/v1/jobs")[0].json()["items"]
    paths = ("/healthz", "/readyz", "/metrics", "/openapi.json", f"/v1/jobs/{job['id']}")
    assert [answer.status_code for answer in get(create_app("any", "The frame."), *paths)] == [200] * len(paths)
    assert snowflake.connections == 0
    assert get(scoring, "/v1/leads")[0].status_code >= 500
    assert snowflake.connections > 0, "the counting counts"


def test_the_sweeper_leaves_the_warehouse_asleep(snowflake: Counted, redis_server: RedisServer) -> None:
    queue = settings.queue_settings()
    sweeper = Sweeper(make_celery("sweeper", settings=queue, is_producer=True), settings.operations_settings(), queue)
    for _ in range(3):
        sweeper.sweep()
    assert snowflake.connections == 0


def get(app: FastAPI, *paths: str) -> list[httpx.Response]:
    """Served in this process, with all that runs beside the requests."""

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
        ):
            return [await client.get(path) for path in paths]

    return asyncio.run(ask())
