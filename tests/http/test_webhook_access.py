"""Generic events with and without a key of their own, and what of them stands in the audit log."""

import asyncio
import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import httpx
import pytest

from services.scoring.api import app
from services.scoring.settings import webhook_settings
from shared.access.audit import read_entries, verify_chain
from shared.access.callers import COMMAND_LINE
from shared.access.key_store import KeyStore
from shared.operations.database import OperationsDatabase
from tests.http.in_process import ELSEWHERE, caller_from_elsewhere, served

SECRET = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
Deliver = Callable[..., httpx.Response]


@pytest.fixture
def deliver(operations: OperationsDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deliver]:
    """The scoring API in this process: sends a signed event, by default of account 17."""
    monkeypatch.setenv("GTM_WEBHOOK_SECRET", f"whsec_{SECRET}")

    def send(event_id: str, secret: str = SECRET, **headers: str) -> httpx.Response:
        body, sent = json.dumps({"type": "account.changed", "account_id": "hubspot:17"}), str(int(time.time()))
        digest = hmac.digest(base64.b64decode(secret), f"{event_id}.{sent}.{body}".encode(), "sha256")
        signed = {"webhook-id": event_id, "webhook-timestamp": sent}
        signed["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"

        async def post() -> httpx.Response:
            async with caller_from_elsewhere(app) as client:
                return await client.post("/v1/webhooks/generic", content=body, headers={**signed, **headers})

        return asyncio.run(post())

    with served(app, operations):
        yield send


def test_the_signature_alone_opens_the_door_unless_a_key_is_asked_for_too(
    deliver: Deliver, operations: OperationsDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = KeyStore(operations)
    sender, other = (keys.create(f"only-{scope}", [scope], caller=COMMAND_LINE) for scope in ("webhook", "admin"))
    assert deliver("msg_1").status_code == 202
    monkeypatch.setenv("GTM_WEBHOOK_REQUIRE_KEY", "true")
    webhook_settings.cache_clear()
    for headers, status, code in (
        ({}, 403, "forbidden"),  # GTM_ENV=local, from elsewhere
        ({"Authorization": "Bearer nothing"}, 401, "unauthorised"),
        ({"Authorization": f"Bearer {other.text}"}, 403, "scope-missing"),
    ):
        refused = deliver("msg_2", **headers)
        assert (refused.status_code, refused.json()["code"]) == (status, code)
    with_key = {"Authorization": f"Bearer {sender.text}"}
    forged = deliver("msg_2", base64.b64encode(b"another secret of 24 bytes").decode(), **with_key)
    assert (forged.status_code, forged.json()["code"]) == (401, "webhook-signature-invalid")  # a key is no signature
    assert forged.headers["www-authenticate"] == 'Signature realm="fleet-gtm"'
    assert deliver("msg_2", **with_key).status_code == 202


def test_the_job_that_an_event_starts_is_in_the_log_once_with_its_sender(
    deliver: Deliver, operations: OperationsDatabase
) -> None:
    job_id = deliver("msg_1").json()["job_id"]
    for again in ("msg_1", "msg_2"):  # the same event, and one more of an account that waits already
        assert deliver(again).json()["job_id"] == job_id
    (entry,) = read_entries(operations, limit=9)
    told = (entry["action"], entry["target"], entry["actor"], entry["address"], entry["status"], entry["detail"])
    sender = {"kind": "rescore", "sender": "generic"}
    assert told == ("job.start", job_id, "webhook", ELSEWHERE, 202, sender)
    assert abs((datetime.fromisoformat(entry["at"]) - datetime.now(UTC)).total_seconds()) < 60


def test_forged_events_are_in_the_log_and_a_flood_of_them_is_two_rows(
    deliver: Deliver, operations: OperationsDatabase
) -> None:
    for number in range(30):
        assert deliver(f"msg_{number}", base64.b64encode(b"another secret of 24 bytes").decode()).status_code == 401
    app.state.recorder.write_due(is_last=True)
    log = read_entries(operations, limit=99)
    assert {(entry["action"], entry["address"], entry["detail"]["code"]) for entry in log} == {
        ("webhook.refused", ELSEWHERE, "webhook-signature-invalid")
    }
    assert sum(entry["count"] for entry in log) == 30 and len(log) <= 3
    assert verify_chain(operations).is_whole
