"""Calls of HubSpot, 1,200 events in 3 s on 21 companies, through the whole house: few pipelines, last value wins."""

import base64
import hmac
import json
import os
import time
from collections.abc import Sequence

import httpx
import pytest

from tests.e2e.conftest import HUBSPOT_SECRET, PUBLIC_URL
from tests.e2e.house import House
from tests.fakes.hubspot import FakeHubSpot
from tests.webhook_bursts import read_jobs, read_leads, read_marts, tell_waits, wait_for_quiet

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(os.environ.get("WEBHOOK_BURST") != "1", reason="three builds: make webhook-burst"),
]

MARKET = {"accounts": 60, "visits": 3000, "seed": 7, "dirt": 0.1}
ACCOUNTS, ROUNDS, A_ROUND = 21, 12, 100


@pytest.mark.timeout(900)
def test_calls_of_hubspot_are_few_pipelines_and_the_last_one_decides(house: House, hubspot: FakeHubSpot) -> None:
    house.run_pipeline("mock", MARKET, limit=1)
    portal = hubspot.portal
    ids = [portal.create("companies", name=f"Storm {number}", numberofemployees="5").id for number in range(ACCOUNTS)]
    known = {job["id"] for job in read_jobs(house.apis["ingest"].url, "pipeline")}
    started, waits = time.monotonic(), list[float]()
    with httpx.Client() as client:
        for number in range(ROUNDS):
            portal.now += 10
            portal.update("companies", ids, numberofemployees=str(1000 + number))
            for one in ids:
                portal.update("companies", [one], name=f"Storm {one} v{number}")
            waits.append(_call_of_hubspot(house, client, ids, number))
            time.sleep(max(0.0, started + 0.25 * number - time.monotonic()))  # paces the sender, waits for nothing
    seconds = time.monotonic() - started
    wait_for_quiet(house.apis["ingest"].url, "pipeline")
    ended = [job for job in read_jobs(house.apis["ingest"].url, "pipeline") if job["id"] not in known]
    print(
        f"\n{ROUNDS * A_ROUND} events in {seconds:.1f} s: {len(ended)} pipelines; acknowledged in {tell_waits(waits)}"
    )
    assert {job["state"] for job in ended} == {"succeeded"} and 1 <= len(ended) <= 3
    accounts = [f"hubspot:{one}" for one in ids]
    expected = {f"hubspot:{one}": f"Storm {one} v{ROUNDS - 1}" for one in ids}
    assert {one: row[0] for one, row in read_leads(house.warehouse, accounts).items()} == expected
    assert read_leads(house.warehouse, accounts) == read_marts(house.warehouse, accounts)


def _call_of_hubspot(house: House, client: httpx.Client, ids: Sequence[int], number: int) -> float:
    events = [
        {
            "eventId": number,  # not unique, as HubSpot warns
            "subscriptionId": 1,
            "portalId": 62515,
            "occurredAt": 1_700_000_000_000 + number,
            "subscriptionType": "company.propertyChange",
            "objectId": ids[step % len(ids)],
            "propertyName": f"property_{step}",
        }
        for step in range(A_ROUND)
    ]
    body, path, sent = json.dumps(events).encode(), "/v1/webhooks/hubspot", str(int(time.time() * 1000))
    signed = b"POST" + (PUBLIC_URL + path).encode() + body + sent.encode()
    digest = base64.b64encode(hmac.digest(HUBSPOT_SECRET.encode(), signed, "sha256")).decode()
    headers = {"X-HubSpot-Signature-v3": digest, "X-HubSpot-Request-Timestamp": sent}
    asked = time.monotonic()
    answer = client.post(house.apis["scoring"].url + path, content=body, headers=headers, timeout=20)
    assert answer.status_code == 202 and answer.json()["accepted"] == A_ROUND, answer.text
    return time.monotonic() - asked
