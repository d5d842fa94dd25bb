"""Who may call a service that runs as in production, over real HTTP; and that every route asks."""

import asyncio
import importlib
import shutil
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from shared.access.audit import read_entries, verify_chain
from shared.access.callers import COMMAND_LINE
from shared.access.key_ring import AWAY_SECONDS, CACHED_SECONDS
from shared.access.key_store import CreatedKey, KeyStore
from shared.access.keys import mint_key
from shared.errors import TerminalError
from shared.http import create_app
from shared.http.access import access_control
from shared.operations.database import OperationsDatabase
from shared.settings import app_settings
from tests.conftest import wait_until
from tests.http.in_process import caller_from_elsewhere, served
from tests.servers import ApiServer

pytestmark = pytest.mark.processes

OPEN = {"/healthz", "/readyz", "/problems", "/problems/{code}"}


@pytest.fixture(scope="module")
def house(_migrated_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperationsDatabase]:
    folder = tmp_path_factory.mktemp("production")
    shutil.copy(_migrated_template, folder / "operations.sqlite3")
    database = OperationsDatabase(f"sqlite:///{folder / 'operations.sqlite3'}")
    yield database
    database.dispose()


@pytest.fixture(scope="module")
def api(house: OperationsDatabase) -> Iterator[ApiServer]:
    """Without Redis: nobody who calls needs it."""
    folder = Path(str(house.engine.url.database)).parent
    settings = {"GTM_ENV": "production", "GTM_DATA_DIR": str(folder), "REDIS_URL": "redis://127.0.0.1:1/0"}
    server = ApiServer("transform", folder / "logs", settings)
    try:
        yield server.wait_ready()
    finally:
        server.stop()


@pytest.fixture(scope="module")
def keys(house: OperationsDatabase) -> KeyStore:
    return KeyStore(house)


def make(keys: KeyStore, name: str, *scopes: str, lifetime: timedelta | None = None) -> CreatedKey:
    return keys.create(name, scopes, caller=COMMAND_LINE, lifetime=lifetime)


def bearer(key: CreatedKey | str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key if isinstance(key, str) else key.text}"}


def refused(response: httpx.Response) -> tuple[int, str, str]:
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["code"], response.headers.get("www-authenticate", "")


def test_no_key_and_no_valid_key_are_401_and_say_how(api: ApiServer, keys: KeyStore, house: OperationsDatabase) -> None:
    expired = make(keys, "old", "read", lifetime=timedelta(microseconds=1))
    revoked = make(keys, "gone", "read")
    keys.revoke(revoked.stored.key_id, caller=COMMAND_LINE)
    known = make(keys, "known", "read")
    for path in ("/v1/jobs", "/metrics", "/docs", "/openapi.json", "/docs/dbt/"):
        assert refused(httpx.get(api.url + path)) == (401, "unauthorised", 'Bearer realm="fleet-gtm"'), path
    invalid = (401, "unauthorised", 'Bearer realm="fleet-gtm", error="invalid_token"')
    for headers in (
        bearer(mint_key().text),
        bearer(expired),
        bearer(revoked),
        bearer(known.text[:-1]),
        bearer(f"gtm_{known.stored.key_id}_{'A' * 43}"),
        bearer("eyJhbGciOiJub25lIn0.eyJzY29wZSI6ImFkbWluIn0."),
        {"Authorization": known.text},
        {"Authorization": "Basic abc"},
        {"Authorization": ""},
    ):
        assert refused(httpx.get(f"{api.url}/v1/jobs", headers=headers)) == invalid, headers
    twice = [("Authorization", f"Bearer {known.text}"), ("Authorization", f"Bearer {known.text}")]
    assert refused(httpx.get(f"{api.url}/v1/jobs", headers=twice)) == invalid
    assert httpx.get(f"{api.url}/v1/jobs", params={"token": known.text, "key": known.text}).status_code == 401
    for named in ({}, {"Host": "gtm.example"}):  # whoever has a key may call it by any name
        assert httpx.get(f"{api.url}/v1/jobs", headers={**bearer(known), **named}).status_code == 200
    assert not [key for key in (expired, revoked, known) if key.text in api.log()]
    wait_until(lambda: [e for e in read_entries(house, limit=99) if e["action"] == "call.refused"], "it is in the log")
    entry = next(e for e in reversed(read_entries(house, limit=99)) if e["action"] == "call.refused")
    told = (entry["actor"], entry["address"], entry["status"], entry["detail"])
    assert told == ("anonymous", "127.0.0.1", 401, {"code": "unauthorised"})


def test_a_scope_opens_its_own_routes_and_no_other(api: ApiServer, keys: KeyStore) -> None:
    by_scope = {scope: make(keys, f"only-{scope}", scope) for scope in ("read", "run", "admin", "webhook")}
    calls = {
        "read": [("GET", "/v1/jobs"), ("GET", "/metrics"), ("GET", "/docs"), ("GET", "/openapi.json")],
        "run": [("POST", "/v1/builds"), ("POST", "/v1/jobs/none/cancel")],
        "admin": [("GET", "/v1/builds/none/nodes/none/rows")],
    }
    implied = {"read": {"read"}, "run": {"run"}, "admin": {"read", "run", "admin"}, "webhook": set[str]()}
    for scope, key in by_scope.items():
        for needed, routes in calls.items():
            for method, path in routes:
                response = httpx.request(
                    method, api.url + path, headers=bearer(key), json={} if method == "POST" else None
                )
                if needed in implied[scope]:
                    assert response.status_code in (200, 202, 404), (scope, method, path)
                else:
                    status, code, header = refused(response)
                    assert (status, code) == (403, "scope-missing") and f'scope="{needed}"' in header
                    assert f"`{needed}`" in response.json()["detail"]


def test_an_anonymous_caller_learns_nothing_of_the_inside(api: ApiServer, keys: KeyStore) -> None:
    reader = make(keys, "monitor", "read")
    for headers in ({}, bearer(mint_key().text), bearer("x")):
        ready = httpx.get(f"{api.url}/readyz", headers=headers)
        assert (ready.status_code, ready.json()) == (200, {"status": "ok"})
        assert httpx.get(f"{api.url}/healthz", headers=headers).json() == {"status": "ok"}
    told = httpx.get(f"{api.url}/readyz", headers=bearer(reader)).json()
    assert told["version"] and told["checks"]["operations_database"]["ok"] and not told["checks"]["redis"]["ok"]


def test_a_key_is_rotated_under_load_and_no_call_is_refused(
    api: ApiServer, keys: KeyStore, house: OperationsDatabase
) -> None:
    first = make(keys, "nightly", "read", "run")
    current, statuses, stop = [first], [], threading.Event()

    def call() -> None:
        with httpx.Client() as client:
            while not stop.is_set():
                statuses.append(client.get(f"{api.url}/v1/jobs?limit=1", headers=bearer(current[0])).status_code)

    def start(number: int) -> str:
        headers = {**bearer(current[0]), "Idempotency-Key": "one-night"}
        return str(httpx.post(f"{api.url}/v1/builds", json={}, headers=headers, timeout=30).json()["id"])

    callers = [threading.Thread(target=call) for _ in range(3)]
    for caller in callers:
        caller.start()
    try:
        wait_until(lambda: len(statuses) > 20, "calls with the first key")
        job_id = start(1)
        current[0] = make(keys, "nightly", "read", "run")
        used = len(statuses)
        wait_until(lambda: len(statuses) > used + 20, "calls with the second key")
        keys.revoke(first.stored.key_id, caller=COMMAND_LINE)
        wait_until(
            lambda: httpx.get(f"{api.url}/v1/jobs", headers=bearer(first)).status_code == 401,
            "the first key opens nothing any more",
            seconds=CACHED_SECONDS + 1,
        )
        assert start(2) == job_id  # the same client, so the same start
    finally:
        stop.set()
        for caller in callers:
            caller.join()
    assert set(statuses) == {200}
    started = [entry for entry in read_entries(house, limit=99, action="job.start") if entry["target"] == job_id]
    assert [(entry["actor"], entry["key_id"]) for entry in started] == [("nightly", first.stored.key_id)]
    wait_until(lambda: all(key.last_used_at for key in keys.read_all() if key.name == "nightly"), "their use is stored")
    assert verify_chain(house).is_whole


def test_without_the_table_of_keys_nobody_is_let_in(api: ApiServer, keys: KeyStore, house: OperationsDatabase) -> None:
    key = make(keys, "late", "read")
    assert httpx.get(f"{api.url}/v1/jobs", headers=bearer(key)).status_code == 200
    with house.write() as session:
        session.execute(sa.text("alter table api_keys rename to away"))
    try:
        wait_until(
            lambda: httpx.get(f"{api.url}/v1/jobs", headers=bearer(key)).status_code != 200,
            "a key that was just used is forgotten",
            seconds=CACHED_SECONDS + 1,
        )
        response = httpx.get(f"{api.url}/v1/jobs", headers=bearer(key))
        assert refused(response)[:2] == (503, "operations-unavailable") and response.headers["retry-after"]
    finally:
        with house.write() as session:
            session.execute(sa.text("alter table away rename to api_keys"))
    wait_until(
        lambda: httpx.get(f"{api.url}/v1/jobs", headers=bearer(key)).status_code == 200,
        "it is asked again",
        seconds=AWAY_SECONDS + 1,
    )


def test_a_token_of_an_earlier_release_is_told_and_not_ignored(
    operations: OperationsDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who set it believes that callers of this machine need it."""
    app = FastAPI()
    app.state.database = operations
    monkeypatch.setenv("GTM_API_TOKEN", "a-token-of-earlier")
    with pytest.raises(TerminalError, match="GTM_API_TOKEN is not read any more") as refused, access_control(app):
        raise AssertionError("it serves")
    assert refused.value.code == "setting-retired" and "a-token" not in refused.value.detail


@pytest.mark.parametrize("service", ["ingest", "transform", "scoring"])
def test_every_route_asks_for_a_key_or_is_known_to_be_open(service: str, operations: OperationsDatabase) -> None:
    app = importlib.import_module(f"services.{service}.api").app
    routes = [route for route in iter_route_contexts(app.routes) if getattr(route, "methods", None)]

    async def ask() -> dict[str, int]:
        async with caller_from_elsewhere(app) as client:
            return {
                f"{method} {route.path}": (await client.request(method, str(route.path))).status_code
                for route in routes
                for method in (*(route.methods or ()), *(["HEAD"] if "GET" in (route.methods or ()) else []))
                if route.path not in OPEN and not str(route.path).startswith("/v1/webhooks/")
            }

    with served(app, operations):
        answers = asyncio.run(ask())
    assert len(answers) >= 8
    assert {route for route, status in answers.items() if status != 403} == set()  # GTM_ENV=local, from elsewhere


@pytest.mark.parametrize("service", ["ingest", "transform", "scoring"])
def test_a_stranger_hears_nothing_about_a_body_and_has_none_read(service: str, operations: OperationsDatabase) -> None:
    app = importlib.import_module(f"services.{service}.api").app
    taking = [path for path, methods in app.openapi()["paths"].items() if "requestBody" in methods.get("post", {})]
    routes = [path for path in taking if not path.startswith("/v1/webhooks/")]  # theirs is a signature of the body
    json_type = {"Content-Type": "application/json"}
    read: list[str] = []

    async def ask() -> dict[tuple[str, int], int]:
        async with caller_from_elsewhere(app) as client:

            async def too_large(path: str) -> AsyncIterator[bytes]:
                read.append(path)
                yield b"a" * 2_000_000

            answers = {}
            for path in routes:
                bodies = [(b"{", json_type), (b'{"nothing": 1}', json_type), (b"a=b", {}), (too_large(path), json_type)]
                for number, (content, headers) in enumerate(bodies):
                    answers[path, number] = (await client.post(path, content=content, headers=headers)).status_code
            return answers

    with served(app, operations):
        answers = asyncio.run(ask())
    assert routes and {asked for asked, status in answers.items() if status != 403} == set()
    assert read == []


@pytest.mark.parametrize(("setting", "status"), [("keyed", 403), ("open", 200), ("off", 404)])
def test_the_apis_description_is_for_whom_the_setting_says(
    setting: str, status: int, operations: OperationsDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GTM_API_DOCS", setting)
    app_settings.cache_clear()
    app = create_app("described", "For this test.")

    async def ask() -> list[int]:
        async with caller_from_elsewhere(app) as client:
            return [(await client.get(path)).status_code for path in ("/docs", "/openapi.json", "/v1/jobs")]

    with served(app, operations):
        assert asyncio.run(ask()) == [status, status, 403]
