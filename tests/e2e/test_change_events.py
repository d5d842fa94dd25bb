"""Change events of HubSpot through real processes: a burst is few pipelines, and the last value arrives everywhere."""

import json
import os
import threading
import time
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from standardwebhooks import Webhook

from tests.conftest import wait_until
from tests.e2e.checksums import count_rows
from tests.e2e.conftest import WEBHOOK_SECRET
from tests.e2e.house import House
from tests.fakes.hubspot import FakeHubSpot

pytestmark = pytest.mark.processes

IS_WHOLE = os.environ.get("CHANGE_EVENTS") == "1"  # make change-events
MARKET = {"accounts": 60, "visits": 3000, "seed": 7, "dirt": 0.1}


@pytest.mark.skipif(not IS_WHOLE, reason="two builds and a pipeline: make change-events")
def test_a_burst_on_few_records_is_few_pipelines_and_a_killed_worker_loses_none(
    house: House, hubspot: FakeHubSpot
) -> None:
    if not any(job["state"] == "succeeded" for job in _pipelines(house)):  # the house's first test
        house.run_pipeline("mock", MARKET, limit=1)
    portal = hubspot.portal
    ids = [portal.create("companies", name=f"Burst {number}", numberofemployees="5").id for number in range(5)]
    known = {job["id"] for job in _pipelines(house)}
    _deliver(house, "burst_created", "companies", [str(one) for one in ids])
    _wait_for_pipelines(house, known)  # RAW has seen alive what is archived below
    is_asked, may_answer = threading.Event(), threading.Event()

    def hold(request: str) -> None:
        if "batch/read" in request and not is_asked.is_set():
            is_asked.set()
            may_answer.wait(60)

    hubspot.before_answer = hold
    known = {job["id"] for job in _pipelines(house)}
    with httpx.Client() as client:
        for number in range(999):
            if number == 300:
                assert is_asked.wait(60), "the first pipeline reads the records"
                _kill_ingest(house)
                may_answer.set()
            one = ids[number % 5]
            portal.now += 10
            portal.update("companies", [one], name=f"Burst {number % 5} v{number}")
            _deliver(house, f"burst_{number}", "companies", [str(one)], client=client)
        portal.now += 10
        portal.update("companies", ids, numberofemployees="4000")
        portal.archive("companies", ids[4])
        _deliver(house, "burst_999", "companies", [str(one) for one in ids], client=client)
    ended = _wait_for_pipelines(house, known)
    assert 1 <= len(ended) <= 3, ended
    assert {(job["state"], job["subject"]) for job in ended} == {("succeeded", "hubspot")}
    assert {job["result"]["build"]["built"] for job in ended} <= {"affected", "nothing"}
    assert ended[-1]["request"]["records"]["companies"] == 5
    expected = {str(one): portal.objects["companies"][one].properties["name"] for one in ids[:4]}
    named = "source_system = 'hubspot' and source_record_id in ('" + "', '".join(map(str, ids)) + "')"
    raw = _rows(house, f"select id, name, numberofemployees, is_deleted from raw.hubspot_companies where {named}")
    assert {row[0]: row[1] for row in raw if not row[3]} == expected and len(raw) == 5
    marts = _rows(house, f"select source_record_id, account_name, employees from analytics.dim_accounts where {named}")
    assert {(one, name, 4000) for one, name in expected.items()} == set(marts), "the archived one is no account"
    leads = _rows(house, "select account_id, account_name, baseline_score from reverse_etl_outbound.lead_scores")
    scores = dict(_rows(house, f"select account_id, baseline_score from analytics.dim_accounts where {named}"))
    burst = {row[0]: row[1:] for row in leads if row[0] in scores}
    assert burst == {f"hubspot:{one}": (name, scores[f"hubspot:{one}"]) for one, name in expected.items()}
    before = _rows(
        house, "select * exclude (job_id, dbt_run_id, dbt_updated_at) from analytics.dim_accounts order by 1"
    )
    house.wait(house.start("transform", "/v1/builds", {})["id"], seconds=170)
    after = _rows(house, "select * exclude (job_id, dbt_run_id, dbt_updated_at) from analytics.dim_accounts order by 1")
    assert before == after, "the affected part is all that a whole build would have changed"


@pytest.mark.skipif(not IS_WHOLE, reason="two more builds: make change-events")
def test_an_event_that_changes_nothing_skips_build_and_scoring(house: House, hubspot: FakeHubSpot) -> None:
    one = hubspot.portal.create("companies", name="Quiet").id
    known = {job["id"] for job in _pipelines(house)}
    _deliver(house, "quiet_1", "companies", [str(one)])
    _wait_for_pipelines(house, known)
    known = {job["id"] for job in _pipelines(house)}
    builds = count_rows(house.warehouse, "analytics.fct_loads")
    _deliver(house, "quiet_2", "companies", [str(one)])
    (job,) = _wait_for_pipelines(house, known)
    assert job["result"]["sync"]["changed"] == 0
    assert job["result"]["build"]["built"] == "nothing" and "no row" in job["result"]["build"]["reason"]
    assert job["result"]["rescore"]["candidates"] == 0 and job["result"]["rescore"]["reason"]
    assert count_rows(house.warehouse, "analytics.fct_loads") == builds


def test_what_nobody_reads_is_acknowledged_and_a_source_without_credentials_says_so(house: House) -> None:
    unknown = _deliver(house, "other_1", "tickets", ["1"])
    assert (unknown["outcome"], unknown["ignored_for"]) == ("ignored", "unknown-object")
    foreign = _deliver(house, "other_2", "companies", ["1"], source="pipedrive")
    assert (foreign["outcome"], foreign["ignored_for"]) == ("ignored", "unknown-source")
    metrics = httpx.get(f"{house.apis['scoring'].url}/metrics").text
    assert 'gtm_webhook_events_ignored{reason="unknown-object"} 1.0' in metrics
    asked = _deliver(house, "other_3", "Account", ["001000000000001AAA"], source="salesforce")
    failed = house.wait(asked["job_id"], state="failed", seconds=60)
    assert failed["error"]["code"] == "source-not-configured" and "GTM_SALESFORCE" in failed["error"]["detail"]


def _kill_ingest(house: House) -> None:
    house.workers["ingest"].kill()
    house.workers["ingest"].restart()


def _pipelines(house: House) -> list[dict[str, Any]]:
    """Newest first."""
    response = httpx.get(f"{house.apis['ingest'].url}/v1/jobs", params={"kind": "pipeline", "limit": 100})
    items: list[dict[str, Any]] = response.json()["items"]
    return items


def _wait_for_pipelines(house: House, known: set[str]) -> list[dict[str, Any]]:
    """Those that are not known have ended; in the order in which they were made."""

    def new() -> list[dict[str, Any]]:
        return [job for job in _pipelines(house) if job["id"] not in known]

    def has_ended() -> bool:
        return bool(new()) and all(job["state"] in ("succeeded", "failed", "cancelled") for job in new())

    wait_until(has_ended, "all refreshes have ended", seconds=170, poll=0.2)
    return [house.job(job["id"]) for job in reversed(new())]


def _rows(house: House, sql: str) -> list[tuple[Any, ...]]:
    with house.warehouse.core_beside_outbound() as connection:
        return [tuple(row) for row in connection.execute(sa.text(sql)).all()]


def _deliver(
    house: House,
    event_id: str,
    object_name: str,
    ids: list[str],
    *,
    source: str = "hubspot",
    client: httpx.Client | None = None,
) -> dict[str, Any]:
    body = json.dumps({"type": "record.changed", "source": source, "object": object_name, "record_ids": ids})
    moment = datetime.fromtimestamp(int(time.time()), UTC)
    headers = {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(WEBHOOK_SECRET).sign(event_id, moment, body),
    }
    post = client.post if client else httpx.post
    response = post(f"{house.apis['scoring'].url}/v1/webhooks/generic", content=body, headers=headers, timeout=20)
    assert response.status_code == 202, response.text
    receipt: dict[str, Any] = response.json()
    return receipt
