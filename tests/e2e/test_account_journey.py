"""An account's whole way through real processes, twice: the second time nothing changes."""

import hashlib
import json
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from standardwebhooks import Webhook
from typer.testing import CliRunner

from cli.main import app
from services.ingest.domain.raw_schema import RAW_TABLE_NAMES
from tests.conftest import REPOSITORY, wait_until
from tests.e2e.checksums import count_rows, read_checksums
from tests.e2e.conftest import WEBHOOK_SECRET
from tests.e2e.house import House
from tests.fakes.ollama import FakeOllama
from tests.unstaged import UNSTAGED

pytestmark = pytest.mark.processes

WEIGHTS = REPOSITORY / "config" / "scoring_weights.yml"
MARKET = {"accounts": 60, "visits": 3000, "seed": 7, "dirt": 0.1}
EXPORTS = REPOSITORY.parent / "shared" / "data"


def test_the_pipeline_turns_messy_records_into_leads_and_a_repeat_changes_nothing(
    house: House, ollama: FakeOllama
) -> None:
    first = house.run_pipeline("mock", MARKET, limit=10, **{"X-Request-ID": "of-one-caller"})
    assert_followed(house, ollama, "of-one-caller")
    assert first["sync"]["changed"] > 3000 and first["sync"]["rejected"] == 0
    assert (first["scoring"]["scored"], len(ollama.chats)) == (10, 10)
    before = read_checksums(house.warehouse)
    assert before["reverse_etl_outbound.lead_scores"][0] == 10
    assert before["analytics.quarantine_rows"][0] > 0, "a tenth of the records is dirty"

    again = house.run_pipeline("mock", MARKET, limit=10)
    assert again["sync"]["changed"] == 0
    assert (again["scoring"]["unchanged"], again["scoring"]["scored"], len(ollama.chats)) == (10, 0, 10)
    assert read_checksums(house.warehouse) == before


def test_every_landed_row_is_in_staging_or_in_quarantine(house: House) -> None:
    for table in sorted({*RAW_TABLE_NAMES} - UNSTAGED):
        landed = count_rows(house.warehouse, f"raw.{table}")
        assert landed == count_staged(house, table) + count_quarantined(house, table), table


def test_leads_are_read_over_rest(house: House) -> None:
    url = house.apis["scoring"].url
    leads = httpx.get(f"{url}/v1/leads", params={"limit": 4}).json()
    assert len(leads["items"]) == 4 and leads["next_cursor"]
    scores = [lead["lead_score"] for lead in leads["items"]]
    assert scores == sorted(scores, reverse=True)
    lead = httpx.get(f"{url}/v1/leads/{leads['items'][0]['account_id']}").json()
    assert len(lead["history"]) == 1 and lead["reasons"] and lead["pitch"]
    assert abs(lead["lead_score"] - lead["baseline_score"]) <= 10
    unknown = httpx.get(f"{url}/v1/leads/nobody")
    assert (unknown.status_code, unknown.headers["content-type"]) == (404, "application/problem+json")


def test_every_stored_score_is_explained_and_adds_up(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    url = house.apis["scoring"].url
    monkeypatch.setenv("GTM_SCORING_URL", url)
    leads = httpx.get(f"{url}/v1/leads").json()["items"]
    for lead in leads:
        ended = CliRunner().invoke(app, ["score", "explain", lead["account_id"]])
        assert (ended.exit_code, ended.stderr) == (0, ""), ended.stderr
        assert f"fit {lead['fit_score']} + engagement {lead['engagement_score']}" in ended.stdout
        assert "together" in ended.stdout and "open opportunities" in ended.stdout, "all factors, not the strongest"
        assert hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()[:12] in ended.stdout
    assert len(leads) == 10


def test_a_signed_webhook_rescores_its_account_once(house: House, ollama: FakeOllama) -> None:
    account_id = httpx.get(f"{house.apis['scoring'].url}/v1/leads").json()["items"][0]["account_id"]
    delivered = _deliver(house, "msg_1", {"type": "account.changed", "account_id": account_id})
    assert delivered.status_code == 202 and delivered.json()["outcome"] == "accepted"
    job = house.wait(delivered.json()["job_id"])
    assert (job["kind"], job["subject"], job["result"]["unchanged"]) == ("rescore", account_id, 1)
    assert ollama.chats == [], "nothing changed, so nothing is asked"
    repeated = _deliver(house, "msg_1", {"type": "account.changed", "account_id": account_id})
    assert repeated.json() == {"outcome": "duplicate", "job_id": job["id"], "ignored_for": None}
    ignored = _deliver(house, "msg_2", {"type": "invoice.paid"})
    assert ignored.json() == {"outcome": "ignored", "job_id": None, "ignored_for": "unknown-type"}


def test_an_unsigned_or_old_webhook_is_refused(house: House) -> None:
    url = f"{house.apis['scoring'].url}/v1/webhooks/generic"
    for headers in ({}, {"webhook-id": "m", "webhook-timestamp": str(int(time.time())), "webhook-signature": "v1"}):
        refused = httpx.post(url, json={"type": "account.changed", "account_id": "a"}, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (401, "webhook-signature-invalid")
    old = _deliver(house, "msg_3", {"type": "account.changed", "account_id": "a"}, at=time.time() - 301)
    assert old.status_code == 401


def test_many_events_on_few_accounts_become_few_rescores(house: House, ollama: FakeOllama) -> None:
    accounts = [lead["account_id"] for lead in httpx.get(f"{house.apis['scoring'].url}/v1/leads").json()["items"][:3]]
    with httpx.Client() as client:
        for number in range(60):
            event = {"type": "account.changed", "account_id": accounts[number % 3]}
            assert _deliver(house, f"storm_{number}", event, client=client).status_code == 202

    def open_rescores() -> int:
        jobs = client_get(house, "/v1/jobs", kind="rescore", limit="200")["items"]
        return sum(job["state"] in ("queued", "running") for job in jobs)

    wait_until(lambda: open_rescores() == 0, "all rescores end", seconds=60)
    rescores = client_get(house, "/v1/jobs", kind="rescore", limit="200")["items"]
    assert {job["state"] for job in rescores} == {"succeeded"}
    assert 3 <= len(rescores) - 1 < 60, "fewer runs than events"


@pytest.mark.shared_data
@pytest.mark.skipif(not EXPORTS.exists(), reason="the third-party exports lie beside the checkout, not in it")
@pytest.mark.long
def test_real_exports_go_the_whole_way(tmp_path: Path, redis_binary: str, ollama: FakeOllama) -> None:
    own = House(tmp_path, redis_binary, ollama.url, {"GTM_FILES_ROOTS": str(EXPORTS)})
    hubspot = {"mapping": "hubspot_export", "path": str(EXPORTS / "hubspot_seeds")}
    salesforce = {"mapping": "salesforce_export", "path": str(EXPORTS / "salesforce_seeds")}
    try:
        synced = own.wait(own.start("ingest", "/v1/syncs", {"source": "files", "options": hubspot})["id"])["result"]
        piped = own.run_pipeline("files", salesforce, limit=5)
        assert piped["scoring"]["scored"] == 5 == count_rows(own.warehouse, "reverse_etl_outbound.lead_scores")
        assert len(synced["tables"]) == 12 and len(piped["sync"]["tables"]) == 6
        for table, counts in {**synced["tables"], **piped["sync"]["tables"]}.items():
            landed = count_rows(own.warehouse, f"raw.{table}")
            assert counts["seen"] == landed + counts["duplicates"] + counts["rejected"] > 0, table
            assert landed == count_staged(own, table) + count_quarantined(own, table), table
        before = read_checksums(own.warehouse)
        repeated = own.wait(own.start("ingest", "/v1/syncs", {"source": "files", "options": hubspot})["id"])["result"]
        assert (repeated["changed"], own.run_pipeline("files", salesforce, limit=5)["sync"]["changed"]) == (0, 0)
        assert read_checksums(own.warehouse) == before
    finally:
        own.close()


def assert_followed(house: House, ollama: FakeOllama, request_id: str) -> None:
    """A caller's own id is in the API's line and in each of its jobs' in the workers, in each of dbt's, and with the
    questions to the model."""
    wanted = {"ingest": {"job_accepted"}}
    wanted |= {f"worker-{name}": {"job_started", "job_left"} for name in ("ingest", "transform", "scoring.batch")}
    for process, events in wanted.items():
        written = (house.logs / f"{process}.log").read_text().splitlines()
        lines = [json.loads(line) for line in written if line.startswith("{")]
        ours = [line for line in lines if line.get("request_id") == request_id]
        assert {line["event"] for line in ours} >= events, process
        jobs = {line["job_id"] for line in ours}
        assert [line for line in lines if line.get("job_id") in jobs and line not in ours] == [], process
    dbt_logs = (log.read_text() for log in house.data_dir.glob("dbt/runs/*/logs/dbt.log"))
    of_dbt = [[json.loads(line)["info"]["extra"]["GTM_REQUEST_ID"] for line in log.splitlines()] for log in dbt_logs]
    assert any(ids and set(ids) == {request_id} for ids in of_dbt)
    assert ollama.headers["x-request-id"] == request_id


def count_staged(house: House, table: str) -> int:
    source, _, plural = table.partition("_")
    return count_rows(house.warehouse, f"analytics_staging.stg_{source}__{plural}")


def count_quarantined(house: House, table: str) -> int:
    rows = f"(select distinct source_record_id from analytics.quarantine_rows where source_table = '{table}')"
    return count_rows(house.warehouse, rows)


def client_get(house: House, path: str, **parameters: str) -> dict[str, list[dict[str, str]]]:
    response = httpx.get(f"{house.apis['scoring'].url}{path}", params=parameters)
    body: dict[str, list[dict[str, str]]] = response.json()
    return body


def _deliver(
    house: House, event_id: str, event: dict[str, str], *, at: float | None = None, client: httpx.Client | None = None
) -> httpx.Response:
    moment = datetime.fromtimestamp(int(at or time.time()), UTC)
    body = json.dumps(event)
    headers = {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(WEBHOOK_SECRET).sign(event_id, moment, body),
    }
    post = client.post if client else httpx.post
    return post(f"{house.apis['scoring'].url}/v1/webhooks/generic", content=body, headers=headers, timeout=10)
