"""What all three APIs share, over real HTTP: problems, access, idempotency, and answers while Redis is bad."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from shared.operations.database import OperationsDatabase
from tests.conftest import RedisServer, wait_until
from tests.servers import ApiServer

pytestmark = pytest.mark.processes

TOKEN = "a-token-of-at-least-24-characters"
LIMIT_SECONDS = 3


@pytest.fixture
def api(operations: OperationsDatabase, redis_server: RedisServer, tmp_path: Path) -> Iterator[ApiServer]:
    server = ApiServer("transform", tmp_path / "logs")
    yield server.wait_ready()
    server.stop()


def _answers(server: ApiServer) -> bool:
    try:
        return httpx.get(f"{server.url}/healthz").status_code == 200
    except httpx.TransportError:
        return False


def problem(response: httpx.Response) -> dict[str, object]:
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, object] = response.json()
    assert body["status"] == response.status_code
    assert {"type", "title", "detail", "code"} <= body.keys()
    return body


def test_a_start_is_accepted_with_its_address(api: ApiServer) -> None:
    response = httpx.post(f"{api.url}/v1/builds", json={"select": "dim_accounts+"})
    assert response.status_code == 202
    job = response.json()
    assert response.headers["location"] == f"/v1/jobs/{job['id']}"
    polled = httpx.get(f"{api.url}/v1/jobs/{job['id']}")
    assert (polled.status_code, polled.json()["state"], polled.headers["retry-after"]) == (200, "queued", "1")
    assert [item["id"] for item in httpx.get(f"{api.url}/v1/jobs").json()["items"]] == [job["id"]]
    assert httpx.post(f"{api.url}/v1/jobs/{job['id']}/cancel").json()["state"] == "cancelled"
    with httpx.stream("GET", f"{api.url}/v1/jobs/{job['id']}/events") as events:
        assert '"state":"cancelled"' in events.read().decode()


def test_errors_are_problems_that_name_the_mend(api: ApiServer) -> None:
    unknown = problem(httpx.get(f"{api.url}/v1/jobs/nope"))
    assert (unknown["status"], unknown["code"]) == (404, "job-not-found")
    refused = problem(httpx.post(f"{api.url}/v1/builds", json={"selct": "a", "full_refresh": "maybe"}))
    assert refused["status"] == 422
    assert {error["field"] for error in refused["errors"]} == {"selct", "full_refresh"}  # type: ignore[attr-defined]
    bad_date = problem(httpx.get(f"{api.url}/v1/jobs", params={"created_after": "last tuesday"}))
    assert bad_date["status"] == 422 and "created_after" in str(bad_date["detail"])
    assert problem(httpx.get(f"{api.url}/v2/jobs"))["code"] == "route-not-found"
    assert problem(httpx.put(f"{api.url}/v1/jobs"))["code"] == "method-not-allowed"
    too_large = httpx.post(f"{api.url}/v1/builds", content=b'{"select": "' + b"a" * 2_000_000 + b'"}')
    assert too_large.status_code == 413
    assert problem(httpx.post(f"{api.url}/v1/builds", content=b"{"))["status"] == 422


def test_fifty_identical_starts_make_one_job(api: ApiServer) -> None:
    answers: list[tuple[int, str]] = []

    def start() -> None:
        response = httpx.post(f"{api.url}/v1/builds", json={}, headers={"Idempotency-Key": "nightly"}, timeout=30)
        answers.append((response.status_code, response.json()["id"]))

    threads = [threading.Thread(target=start) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 50 and len(set(answers)) == 1 and answers[0][0] == 202
    other = httpx.post(f"{api.url}/v1/builds", json={"full_refresh": True}, headers={"Idempotency-Key": "nightly"})
    assert problem(other)["code"] == "idempotency-key-reused"


def test_redis_dead_or_frozen_delays_nobody(api: ApiServer, redis_server: RedisServer) -> None:
    assert redis_server.process is not None

    def timed_start() -> None:
        started = time.monotonic()
        response = httpx.post(f"{api.url}/v1/builds", json={}, timeout=30)
        assert response.status_code == 202
        assert time.monotonic() - started < LIMIT_SECONDS

    os.kill(redis_server.process.pid, signal.SIGSTOP)
    for _ in range(5):
        timed_start()
    ready = httpx.get(f"{api.url}/readyz", timeout=30)
    assert ready.status_code == 200 and not ready.json()["checks"]["redis"]["ok"]
    os.kill(redis_server.process.pid, signal.SIGCONT)
    redis_server.stop()
    for _ in range(5):
        timed_start()
    assert len(httpx.get(f"{api.url}/v1/jobs", params={"state": "queued"}).json()["items"]) == 10


def test_docs_need_no_network_and_metrics_count_jobs(api: ApiServer) -> None:
    page = httpx.get(f"{api.url}/docs").text
    assert "cdn" not in page and "https://" not in page
    httpx.post(f"{api.url}/v1/builds", json={})
    assert 'gtm_jobs{kind="build",state="queued"} 1.0' in httpx.get(f"{api.url}/metrics").text
    assert httpx.get(f"{api.url}/openapi.json").json()["paths"]["/v1/builds"]["post"]["operationId"] == "startBuild"


def test_a_token_is_asked_for_once_it_is_set(
    operations: OperationsDatabase, redis_server: RedisServer, tmp_path: Path
) -> None:
    server = ApiServer("transform", tmp_path / "logs", {"GTM_ENV": "production", "GTM_API_TOKEN": TOKEN})
    try:
        server.wait_ready()
        for headers in ({}, {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": "Basic abc"}):
            assert problem(httpx.get(f"{server.url}/v1/jobs", headers=headers))["code"] == "unauthorised"
        assert httpx.get(f"{server.url}/v1/jobs", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
        assert TOKEN not in server.log()
    finally:
        server.stop()


def test_an_open_service_does_not_start(operations: OperationsDatabase, tmp_path: Path) -> None:
    server = ApiServer("transform", tmp_path / "logs", {"GTM_ENV": "production"})
    assert server.process.wait(60) != 0
    assert "GTM_API_TOKEN is not set" in server.log()


def test_without_its_operations_database_a_service_says_so(redis_server: RedisServer, tmp_path: Path) -> None:
    server = ApiServer("transform", tmp_path / "logs")  # never migrated
    try:
        wait_until(lambda: _answers(server), "the API answers")
        assert httpx.get(f"{server.url}/readyz").status_code == 503
        refused = problem(httpx.post(f"{server.url}/v1/builds", json={}))
        assert (refused["status"], refused["code"]) == (503, "operations-unavailable")
    finally:
        server.stop()
