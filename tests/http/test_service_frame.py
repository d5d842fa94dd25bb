"""What all three APIs share, over real HTTP: problems, access, idempotency, and answers while Redis is bad."""

import json
import os
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from shared.operations.database import OperationsDatabase
from tests.conftest import RedisServer, wait_until
from tests.ports import free_port
from tests.servers import ApiServer, Server

pytestmark = pytest.mark.processes

LIMIT_SECONDS = 3


@pytest.fixture
def api(operations: OperationsDatabase, redis_server: RedisServer, tmp_path: Path) -> Iterator[ApiServer]:
    server = ApiServer("transform", tmp_path / "logs")
    yield server.wait_ready()
    server.stop()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").status_code == 200
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
    events = problem(httpx.get(f"{api.url}/v1/jobs/nope/events"))
    assert (events["status"], events["code"]) == (404, "job-not-found")
    assert problem(httpx.post(f"{api.url}/v1/builds", content=b"{"))["status"] == 415


def test_a_body_has_a_limit_whether_or_not_its_length_is_announced(api: ApiServer) -> None:
    body = b'{"select": "' + b"a" * 2_000_000 + b'"}'
    for content in (body, iter([body[:1000], body[1000:]])):
        response = httpx.post(f"{api.url}/v1/builds", content=content, headers={"Content-Type": "application/json"})
        too_large = problem(response)
        assert (too_large["status"], too_large["code"]) == (413, "body-too-large")
        assert "1048576 bytes" in str(too_large["detail"]) and response.headers["x-request-id"]
    assert httpx.post(f"{api.url}/v1/builds", json={"select": "a" * 200}).status_code == 202


def test_a_foreign_name_for_this_machine_is_refused_without_a_key(api: ApiServer) -> None:
    for host in ("evil.example", f"evil.example:{api.port}", "127.0.0.1.evil.example", "localhost@evil.example", ""):
        refused = problem(httpx.get(f"{api.url}/v1/jobs", headers={"Host": host}))
        assert (refused["status"], refused["code"]) == (403, "forbidden"), host
        assert "gtm keys create" in str(refused["detail"])
        assert problem(httpx.get(f"{api.url}/docs/dbt/", headers={"Host": host}))["code"] == "forbidden"
    for proxied in ("X-Forwarded-For", "Forwarded", "Via"):  # a proxy of this machine calls for anybody
        behind = problem(httpx.get(f"{api.url}/v1/jobs", headers={proxied: "127.0.0.1"}))
        assert (behind["status"], behind["code"]) == (403, "forbidden"), proxied
    for host in ("localhost", f"LOCALHOST:{api.port}", "127.0.0.1", f"127.0.1.1:{api.port}", f"[::1]:{api.port}"):
        assert httpx.get(f"{api.url}/v1/jobs", headers={"Host": host}).status_code == 200, host


def test_a_page_of_another_site_can_start_and_cancel_nothing_without_a_key(api: ApiServer) -> None:
    """A form needs no leave of a browser, and cancel needs no body that a form can't send."""
    started = httpx.post(f"{api.url}/v1/builds", json={}).json()["id"]
    cancel = f"{api.url}/v1/jobs/{started}/cancel"
    port = api.port
    for sent in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": f"http://127.0.0.1:{port}0"},  # another server of this machine
        {"Origin": f"http://localhost:{port}"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": f"http://127.0.0.1:{port}"},
    ):
        refused = problem(httpx.post(cancel, data={"a": "b"}, headers=sent))
        assert (refused["status"], refused["code"]) == (403, "forbidden"), sent
        assert problem(httpx.post(f"{api.url}/v1/builds", json={}, headers=sent))["status"] == 403, sent
    assert httpx.get(f"{api.url}/v1/jobs/{started}").json()["state"] == "queued"
    own = {"Origin": f"http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin"}  # the pages under /docs
    assert httpx.post(cancel, headers=own).json()["state"] == "cancelled"


def test_a_crash_is_found_in_the_log_by_the_request_id_of_its_answer(
    operations: OperationsDatabase, tmp_path: Path
) -> None:
    port = free_port()
    crashing = ["uvicorn", "tests.http.crashing:app", "--port", str(port), "--log-level", "warning"]
    server = Server("crashing", crashing, tmp_path / "logs")
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _answers(url), "the API answers")
        mine = uuid.uuid4().hex
        for sent in ({"X-Request-ID": mine}, {}):
            response = httpx.get(f"{url}/crash", headers=sent)
            assert problem(response)["code"] == "internal-error"
            request_id = response.headers["x-request-id"]
            assert sent.get("X-Request-ID", request_id) == request_id
            lines = [json.loads(line) for line in server.log().rpartition("\n")[0].splitlines()]
            ours = [line for line in lines if line.get("request_id") == request_id]
            assert {line["event"] for line in ours} >= {"about_to_crash", "request_crashed"}
            assert any("ZeroDivisionError" in line.get("exception", "") for line in ours)
    finally:
        server.stop()


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


def test_without_its_operations_database_a_service_says_so(redis_server: RedisServer, tmp_path: Path) -> None:
    server = ApiServer("transform", tmp_path / "logs")  # never migrated
    try:
        wait_until(lambda: _answers(server.url), "the API answers")
        ready = httpx.get(f"{server.url}/readyz")
        assert ready.status_code == 503 and "migrate" in ready.json()["checks"]["operations_database"]["detail"]
        probed = httpx.get(f"{server.url}/readyz", headers={"Via": "1.1 proxy"})  # nobody who may know more
        assert (probed.status_code, probed.json()) == (503, {"status": "unavailable"})
        assert "not_ready" in server.log()
        refused = problem(httpx.post(f"{server.url}/v1/builds", json={}))
        assert (refused["status"], refused["code"]) == (503, "operations-unavailable")
    finally:
        server.stop()
