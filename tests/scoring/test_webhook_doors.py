"""The three doors for webhooks of a running API: what opens them, what each answers, and that nothing fails there."""

import asyncio
import base64
import hmac
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from services.scoring.api import app
from services.scoring.settings import webhook_settings
from shared.operations.migrate import migrate
from tests.scoring.test_salesforce_messages import ORGANIZATION, TOKEN, message, notification
from tests.servers import ApiServer

pytestmark = pytest.mark.processes

SECRET = "a-client-secret"
PUBLIC = "https://gtm.example.com/behind/a/proxy"
DOORS = ("generic", "hubspot", "salesforce")
SETTINGS = {
    "GTM_PUBLIC_URL": PUBLIC + "/",
    "GTM_HUBSPOT_WEBHOOK_SECRET": SECRET,
    "GTM_SALESFORCE_WEBHOOK_TOKEN": TOKEN,
    "GTM_SALESFORCE_ORGANIZATION_ID": ORGANIZATION,
    "GTM_WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
}


def serve(folder: Path, settings: dict[str, str]) -> ApiServer:
    """Without Redis: an event is taken all the same."""
    data = folder / "var"
    data.mkdir(parents=True)
    migrate(f"sqlite:///{data / 'operations.sqlite3'}")
    env = {
        "GTM_DATA_DIR": str(data),
        "GTM_ENV": "local",
        "GTM_ENV_FILE": os.devnull,
        "REDIS_URL": "redis://127.0.0.1:1",
    }
    return ApiServer("scoring", folder / "logs", {**env, **settings})


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    server = serve(tmp_path_factory.mktemp("doors"), SETTINGS)
    yield server.wait_ready()
    server.stop()


def event(number: int, **fields: Any) -> dict[str, Any]:
    known = {"eventId": number, "portalId": 1, "subscriptionId": 2, "occurredAt": 1564113600000}
    return {**known, "subscriptionType": "company.creation", "objectId": number, **fields}


def deliver(api: ApiServer, body: bytes, query: str = "", **changes: str) -> httpx.Response:
    """As HubSpot delivers to the address that it was told."""
    path, sent = f"/v1/webhooks/hubspot{query}", str(int(time.time() * 1000))
    digest = hmac.digest(SECRET.encode(), b"POST" + (PUBLIC + path).encode() + body + sent.encode(), "sha256")
    headers = {"X-HubSpot-Signature-v3": base64.b64encode(digest).decode(), "X-HubSpot-Request-Timestamp": sent}
    changed = {name.replace("_", "-"): value.encode("latin-1") for name, value in changes.items()}
    return httpx.post(f"{api.url}{path}", content=body, headers={**headers, **changed}, timeout=10)


def test_a_call_of_hubspot_is_taken_once_and_counted(api: ApiServer) -> None:
    events = [event(number) for number in range(98)] + [event(98, subscriptionType="ticket.creation"), "nonsense"]
    body = json.dumps(events).encode()
    first, again = deliver(api, body), deliver(api, body, "?tenant=%2Fa")
    assert (first.status_code, again.status_code) == (202, 202)
    counts = first.json()
    assert (counts["accepted"], counts["duplicates"], counts["ignored"]) == (98, 0, 2)
    assert counts["ignored_for"] == {"unknown-object": 1, "unreadable": 1}
    assert again.json() | {"ignored_for": {}} == counts | {"accepted": 0, "duplicates": 100, "ignored": 0} | {
        "ignored_for": {}
    }
    job = httpx.get(f"{api.url}/v1/jobs/{counts['job_id']}").json()
    assert (job["kind"], job["subject"], job["state"]) == ("pipeline", "hubspot", "queued")
    metrics = httpx.get(f"{api.url}/metrics").text
    assert 'gtm_webhook_events_ignored{reason="unreadable"} 1.0' in metrics
    assert 'gtm_changed_records{source="hubspot"} 98.0' in metrics


@pytest.mark.parametrize(
    "changes",
    [
        {"X_HubSpot_Signature_v3": ""},
        {"X_HubSpot_Signature_v3": "\xff\xfe"},
        {"X_HubSpot_Request_Timestamp": "\xb2"},
        {"X_HubSpot_Request_Timestamp": "nan"},
    ],
)
def test_a_malformed_signature_is_a_401(api: ApiServer, changes: dict[str, str]) -> None:
    _refused(deliver(api, b"[{}]", **changes))


def test_unsigned_calls_are_a_401_whatever_they_hold(api: ApiServer) -> None:
    for body in (b"", b"\xff\xfe", b"[]", b"<a/>", b"[" * 100_000):
        for door in DOORS:
            _refused(httpx.post(f"{api.url}/v1/webhooks/{door}", content=body))
    _refused(httpx.post(f"{api.url}/v1/webhooks/hubspot", content=b"[]", headers={"X-HubSpot-Signature": "a" * 64}))


def test_well_signed_nonsense_is_a_422(api: ApiServer) -> None:
    url = f"{api.url}/v1/webhooks/salesforce?token={TOKEN}"
    refused = [deliver(api, b"{}"), deliver(api, b"[" * 100_000), httpx.post(url, content=b"{}")]
    assert [(one.status_code, one.json()["code"]) for one in refused] == [(422, "invalid-request")] * 3


def test_a_message_of_salesforce_is_acknowledged_in_its_own_words(api: ApiServer) -> None:
    url = f"{api.url}/v1/webhooks/salesforce"
    body = message(*(notification(number, record_id=f"0010000000000{number:02d}AAA") for number in range(30)))
    for _ in range(2):
        answer = httpx.post(url, params={"token": TOKEN}, content=body, headers={"Content-Type": "text/xml"})
        assert answer.status_code == 200 and "<Ack>true</Ack>" in answer.text
        assert answer.headers["content-type"].startswith("text/xml")
    _refused(httpx.post(url, params={"token": TOKEN + "x"}, content=body))
    _refused(httpx.post(url, params={"token": TOKEN}, content=message(notification(1), organization="00D0" * 4)))
    jobs = httpx.get(f"{api.url}/v1/jobs", params={"kind": "pipeline"}).json()["items"]
    assert [job["subject"] for job in jobs].count("salesforce") == 1
    assert 'gtm_changed_records{source="salesforce"} 30.0' in httpx.get(f"{api.url}/metrics").text
    assert TOKEN not in api.log() and SECRET not in api.log()


def test_the_api_describes_its_doors(api: ApiServer) -> None:
    description = httpx.get(f"{api.url}/openapi.json").json()
    assert {path.rpartition("/")[2] for path in description["paths"] if "/webhooks/" in path} == set(DOORS)
    for door in DOORS:
        operation = description["paths"][f"/v1/webhooks/{door}"]["post"]
        assert {"401", "404", "422", "503"} <= operation["responses"].keys()
        assert operation["parameters"] and operation["requestBody"]["required"]
    lead = description["components"]["schemas"]["LeadDetail"]["properties"]
    provenance = {"profile_hash", "prompt_version", "rules_version", "weights_version", "score_bound", "model_name"}
    provenance |= {"model_digest", "temperature", "seed", "dbt_run_id", "job_id", "prompt_tokens", "completion_tokens"}
    provenance |= {"llm_duration_ms", "score_source", "pitch_source", "scored_at", "llm_answer"}
    assert provenance | {"lead_score", "factors", "claims", "pitch", "history"} <= lead.keys()


def test_a_door_is_shut_without_its_settings_which_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GTM_HUBSPOT_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("GTM_SALESFORCE_WEBHOOK_TOKEN", "short")

    async def knock(door: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://scoring") as client:
            return await client.post(f"/v1/webhooks/{door}", content=b"[]")

    for door, setting in (
        ("generic", "GTM_WEBHOOK_SECRET"),
        ("hubspot", "GTM_PUBLIC_URL"),
        ("salesforce", "GTM_SALESFORCE_ORGANIZATION_ID"),
    ):
        answer = asyncio.run(knock(door))
        assert (answer.status_code, answer.json()["code"]) == (404, "webhooks-disabled")
        assert f"{setting} is not set" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GTM_PUBLIC_URL", "gtm.example.com"),
        ("GTM_PUBLIC_URL", "https://x/?a"),
        ("GTM_HUBSPOT_WEBHOOK_SIGNATURES", "v4"),
    ],
)
def test_a_setting_that_can_not_be_used_is_told(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        webhook_settings()
    monkeypatch.setenv("GTM_PUBLIC_URL", "https://gtm.example.com:8443/gtm")
    monkeypatch.setenv("GTM_HUBSPOT_WEBHOOK_SIGNATURES", "v1, v3")
    assert webhook_settings().hubspot_signatures == {"v1", "v3"}


def _refused(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (401, "webhook-signature-invalid"), answer.text
