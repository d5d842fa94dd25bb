"""A rescore never waits behind a batch: two workers and two queues, as real processes."""

import json
import threading
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from tests.e2e.conftest import WEBHOOK_SECRET
from tests.e2e.house import House
from tests.fakes.ollama import FakeOllama

pytestmark = pytest.mark.processes


def test_a_rescore_ends_while_a_scoring_waits_for_the_model(house: House, ollama: FakeOllama) -> None:
    account_id = read_best_account(house)
    held, go_on = threading.Event(), threading.Event()

    def hold_the_first(_request: dict[str, Any]) -> None:
        if not held.is_set():
            held.set()
            go_on.wait(60)

    ollama.on_chat = hold_the_first
    batch = house.start("scoring", "/v1/scorings", {"limit": 3, "force": True})
    try:
        assert held.wait(60), "the scoring has asked its first question"
        rescore = house.wait(deliver(house, {"type": "account.changed", "account_id": account_id}))
        assert (rescore["kind"], rescore["result"]["candidates"]) == ("rescore", 1)
        assert house.job(batch["id"])["state"] == "running"
    finally:
        go_on.set()
    assert house.wait(batch["id"])["result"]["scored"] == 3


def read_best_account(house: House) -> str:
    """Of the leads that are there; a pipeline makes some where this test comes first."""
    items = httpx.get(f"{house.apis['scoring'].url}/v1/leads").json()["items"]
    if not items:
        house.run_pipeline("mock", {"accounts": 60, "visits": 3000, "seed": 7, "dirt": 0.1}, limit=3)
        items = httpx.get(f"{house.apis['scoring'].url}/v1/leads").json()["items"]
    return str(items[0]["account_id"])


def deliver(house: House, event: dict[str, Any]) -> str:
    """Signed; the rescore's id."""
    body, moment, event_id = json.dumps(event), datetime.now(UTC), "overtakes_a_batch"
    headers = {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(WEBHOOK_SECRET).sign(event_id, moment, body),
    }
    url = f"{house.apis['scoring'].url}/v1/webhooks/generic"
    answer = httpx.post(url, content=body, headers=headers, timeout=10)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])
