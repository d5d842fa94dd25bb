"""REST to the letter: statuses, headers and bodies as the RFCs have them, over real HTTP."""

import json
import re
import socket
import threading
import uuid
from collections.abc import Iterator

import httpx
import pytest

from shared.contracts import JobKind
from shared.http.problem_pages import read_problem_pages
from shared.http.problems import _CODES
from shared.jobs.store import JobStore
from shared.operations.database import OperationsDatabase
from tests.http.small_api import SmallApi

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def api(operations: OperationsDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallApi]:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")  # nobody is there, and no answer waits for it
    with SmallApi() as running:
        yield running


def problem(response: httpx.Response, status: int, code: str) -> dict[str, object]:
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json"), response
    body: dict[str, object] = response.json()
    assert (body["status"], body["code"], body["type"]) == (status, code, f"/problems/{code}")
    assert body["title"] and body["detail"] and response.headers["x-request-id"]
    return body


def test_what_http_itself_refuses_is_a_problem_too(api: SmallApi) -> None:
    builds, jobs = f"{api.url}/v1/builds", f"{api.url}/v1/jobs"
    problem(httpx.get(f"{api.url}/v2/nothing"), 404, "route-not-found")
    problem(httpx.post(builds, content=b"{", headers=JSON), 400, "body-unreadable")
    problem(httpx.post(builds, content=b'{"select": "\xff"}', headers=JSON), 400, "body-unreadable")
    problem(httpx.post(builds, content=b"[" * 100_000, headers=JSON), 400, "body-unreadable")
    problem(httpx.post(builds, content=b"1" * 5_000, headers=JSON), 400, "body-unreadable")
    refused = httpx.post(builds, content=b"select=a", headers={"Content-Type": "application/x-www-form-urlencoded"})
    problem(refused, 415, "media-type-not-supported")
    assert refused.headers["accept-post"] == "application/json"
    problem(httpx.post(builds, content=b"{}"), 415, "media-type-not-supported")
    assert httpx.post(
        builds, content=b"{}", headers={"Content-Type": "application/vnd.a+json; charset=utf-8"}
    ).is_success
    problem(httpx.get(jobs, params={"cursor": "a" * 9_000}), 414, "address-too-long")
    problem(httpx.get(jobs, headers={"X-Long": "a" * 40_000}), 431, "headers-too-large")


def test_every_route_names_its_methods_where_another_is_tried(api: SmallApi) -> None:
    for path, operations in api.app.openapi()["paths"].items():
        known = operations.keys() | ({"head"} if "get" in operations else set())
        address = api.url + re.sub(r"{\w+}", "0195e7a2-4c1f-7c3e-9b1a-0123456789ab", path)
        for method in {"get", "put", "post", "delete", "patch", "options", "head"} - known:
            refused = httpx.request(method, address)
            if method != "head":
                problem(refused, 405, "method-not-allowed")
            assert refused.status_code == 405
            assert {one.strip().lower() for one in refused.headers["allow"].split(",")} == known, path


def test_head_is_the_head_of_the_same_answer_and_of_a_stream_at_once(api: SmallApi) -> None:
    job = httpx.post(f"{api.url}/v1/builds", json={}).headers["location"]
    with httpx.Client(base_url=api.url) as client:
        for path in (job, f"{job}/events", "/v1/jobs?limit=0", "/v1/jobs/none", "/healthz", "/docs", "/problems"):
            with client.stream("GET", path) as got:
                asked = client.head(path)
                assert (asked.status_code, asked.content) == (got.status_code, b""), path
                volatile = {"date", "x-request-id", "transfer-encoding"}
                heads = [{k: v for k, v in one.headers.items() if k not in volatile} for one in (asked, got)]
                assert heads[0] == heads[1], path
        assert client.head(job, headers={"If-None-Match": client.get(job).headers["etag"]}).status_code == 304
        assert (
            'http_requests_total{handler="/v1/jobs/{job_id}",method="HEAD",status="2xx"}' in client.get("/metrics").text
        )


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ('{"retry_of": "a\\u0000b"}', "NUL"),
        ('{"retry_of": "\\ud800"}', "surrogate"),
        ('{"\\udc00": 1}', "surrogate"),
        ('{"retry_of": NaN}', "NaN"),
        ('{"retry_of": -Infinity}', "Infinity"),
        ('{"retry_of": 1e999}', "Infinity"),
        ('{"retry_of": ' + "[" * 40 + "]" * 40 + "}", "32 levels"),
    ],
)
def test_what_could_not_be_told_again_is_not_taken(api: SmallApi, body: str, why: str) -> None:
    refused = problem(httpx.post(f"{api.url}/v1/builds", content=body, headers=JSON), 422, "invalid-request")
    assert why in str(refused["detail"])


def test_moments_outside_of_the_calendar_and_ids_that_are_none_are_refused(api: SmallApi) -> None:
    jobs = f"{api.url}/v1/jobs"
    problem(httpx.get(jobs, params={"created_after": "0001-01-01T00:00:00+14:00"}), 422, "invalid-request")
    problem(httpx.get(jobs, params={"created_after": "0.5"}), 422, "invalid-request")
    problem(httpx.get(jobs, params={"cursor": "MDAwMS0wMS0wMVQwMDowMDowMCsxNDowMHxh"}), 422, "cursor-invalid")
    for job_id in ("%00", "%ED%A0%80", "a" * 2_000, "..%2F..%2Fetc"):
        assert httpx.get(f"{jobs}/{job_id}").status_code == 404, job_id


def test_a_start_tells_where_and_when_to_look_and_a_look_whether_anything_is_new(
    api: SmallApi, operations: OperationsDatabase
) -> None:
    started = httpx.post(f"{api.url}/v1/builds", json={})
    address = api.url + started.headers["location"]
    assert (started.status_code, started.headers["retry-after"]) == (202, "1")
    first = httpx.get(address)
    tag = first.headers["etag"]
    assert (first.json(), first.headers["cache-control"], first.headers["retry-after"]) == (
        started.json(),
        "no-cache",
        "1",
    )
    for given in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        unchanged = httpx.get(address, headers={"If-None-Match": given})
        assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", tag), given
    assert httpx.get(address, headers={"If-None-Match": '"other"'}).status_code == 200
    JobStore(operations).cancel(started.json()["id"])
    ended = httpx.get(address, headers={"If-None-Match": tag})
    assert (ended.status_code, ended.json()["state"], ended.headers.get("retry-after")) == (200, "cancelled", None)
    assert ended.headers["etag"] != tag


def test_a_look_is_never_older_than_its_question(api: SmallApi, operations: OperationsDatabase) -> None:
    """Looks are shared: none may be shared that had begun before."""
    store, ids = JobStore(operations), []
    for _ in range(4):
        ids += [store.start(JobKind.BUILD, {}).job.id]
    stop, wrong = threading.Event(), list[str]()

    def poll() -> None:
        with httpx.Client() as client:
            while not stop.is_set():
                wrong.extend(one for one in ids if client.get(f"{api.url}/v1/jobs/{one}").status_code != 200)

    pollers = [threading.Thread(target=poll) for _ in range(4)]
    for poller in pollers:
        poller.start()
    with httpx.Client() as client:
        for job_id in ids:
            store.cancel(job_id)
            assert client.get(f"{api.url}/v1/jobs/{job_id}").json()["state"] == "cancelled"
            fresh = client.post(f"{api.url}/v1/builds", json={}).json()["id"]
            assert client.get(f"{api.url}/v1/jobs/{fresh}").status_code == 200
    stop.set()
    for poller in pollers:
        poller.join()
    assert wrong == []


@pytest.mark.parametrize("key", ["", "a" * 256, "ä".encode("latin-1"), "a\tb"])
def test_an_idempotency_key_has_bounds(api: SmallApi, key: str | bytes) -> None:
    given = key.encode() if isinstance(key, str) else key
    refused = httpx.post(f"{api.url}/v1/builds", json={}, headers=[(b"Idempotency-Key", given)])
    errors = problem(refused, 422, "invalid-request")["errors"]
    assert isinstance(errors, list) and [one["field"] for one in errors] == ["Idempotency-Key"]


def test_a_repeat_of_what_was_accepted_is_not_checked_again(api: SmallApi, operations: OperationsDatabase) -> None:
    refused = httpx.post(f"{api.url}/v1/builds", json={"select": "nothing"}, headers={"Idempotency-Key": "k"})
    assert "no nothing" in str(problem(refused, 422, "invalid-request")["detail"])
    before = JobStore(operations).start(JobKind.BUILD, {"select": "nothing"}, idempotency_key="k").job.id
    again = httpx.post(f"{api.url}/v1/builds", json={"select": "nothing"}, headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.json()["id"]) == (202, before), "of a time before keys had callers"


def test_a_full_queue_refuses_starts_and_repeats_the_known_one(
    operations: OperationsDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("GTM_QUEUE_LIMIT", "2")
    with SmallApi() as api:
        headers = {"Idempotency-Key": "first"}
        first = httpx.post(f"{api.url}/v1/builds", json={}, headers=headers)
        second = httpx.post(f"{api.url}/v1/builds", json={})
        assert (first.status_code, second.status_code) == (202, 202)
        refused = httpx.post(f"{api.url}/v1/builds", json={})
        assert "GTM_QUEUE_LIMIT" in str(problem(refused, 429, "queue-full")["detail"])
        assert int(refused.headers["retry-after"]) > 0
        assert httpx.post(f"{api.url}/v1/builds", json={}, headers=headers).json()["id"] == first.json()["id"]
        assert len(httpx.get(f"{api.url}/v1/jobs").json()["items"]) == 2, "what was refused is nowhere"
        httpx.post(f"{api.url}/v1/jobs/{second.json()['id']}/cancel")
        assert httpx.post(f"{api.url}/v1/builds", json={}).status_code == 202


def test_one_caller_may_ask_only_so_often(operations: OperationsDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("GTM_RATE_LIMIT_PER_MINUTE", "5")
    with SmallApi() as api, httpx.Client() as client:
        answers = [client.get(f"{api.url}/v1/jobs") for _ in range(11)]  # of two minutes, if one ends between
        refused = next(one for one in answers if one.status_code == 429)
        problem(refused, 429, "rate-limited")
        assert 0 < int(refused.headers["retry-after"]) <= 60
        assert client.get(f"{api.url}/healthz").status_code == 200, "probes are nobody's"


def test_a_request_id_is_kept_where_it_is_one(api: SmallApi) -> None:
    for given in ("trace-1.2_3", uuid.uuid4().hex, "a" * 64):
        assert httpx.get(f"{api.url}/healthz", headers={"X-Request-ID": given}).headers["x-request-id"] == given
    for given in ("a" * 65, "a b", "<script>", ""):
        answered = httpx.get(f"{api.url}/healthz", headers={"X-Request-ID": given}).headers["x-request-id"]
        assert re.fullmatch("[0-9a-f]{32}", answered)


def test_every_answer_says_how_long_it_holds_and_what_it_is(api: SmallApi) -> None:
    for path in ("/v1/jobs", "/healthz", "/v1/nothing"):
        headers = httpx.get(api.url + path).headers
        assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")


def test_a_problem_type_leads_to_its_page(api: SmallApi) -> None:
    pages = read_problem_pages()
    assert {code for code, _ in _CODES.values()} <= pages.keys()
    told = httpx.get(f"{api.url}/v1/jobs/nope").json()
    page = httpx.get(api.url + told["type"])
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    assert "no job was accepted under this id" in page.text and "<script" not in page.text
    listed = httpx.get(f"{api.url}/problems").text
    assert [code for code in pages if f'href="/problems/{code}"' not in listed] == []
    problem(httpx.get(f"{api.url}/problems/none-such"), 404, "problem-unknown")


def test_a_header_that_never_ends_and_a_request_that_is_none_are_turned_away(api: SmallApi) -> None:
    with socket.create_connection(("127.0.0.1", api.port), timeout=10) as raw:
        raw.sendall(b"GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\nNo colon here\r\n\r\n")
        assert b" 400 " in raw.recv(1_000).partition(b"\r\n")[0]


def test_a_description_of_the_api_holds_what_clients_are_made_of(api: SmallApi) -> None:
    document = api.app.openapi()
    assert document["openapi"].startswith("3.1")
    assert document["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"
    assert "HTTPValidationError" not in json.dumps(document)
    operations = [one for path in document["paths"].values() for one in path.values()]
    assert len({one["operationId"] for one in operations}) == len(operations)
    for operation in operations:
        for status, response in operation["responses"].items():
            if status.startswith(("4", "5")) and operation["operationId"] != "getReadiness":
                schema = response["content"]["application/problem+json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Problem"}, operation["operationId"]
