"""Workers killed with SIGKILL and a Redis that forgets: every accepted job ends, once in effect, within a minute."""

import threading
import time

import pytest

from tests.e2e.checksums import count_rows, read_checksums
from tests.e2e.house import House
from tests.fakes.ollama import FakeOllama

pytestmark = pytest.mark.processes

LIMIT_SECONDS = 60
MARKET = {"accounts": 80, "visits": 60_000, "seed": 11, "dirt": 0.1}


def test_a_sync_whose_worker_is_killed_lands_once(house: House) -> None:
    job = house.start("ingest", "/v1/syncs", {"source": "mock", "mode": "full", "options": MARKET})
    killed_at = house.kill_worker_during(job["id"], "ingest", "")
    done = house.wait(job["id"], seconds=LIMIT_SECONDS)
    assert time.monotonic() - killed_at < LIMIT_SECONDS
    assert done["attempts"] == 2
    visits = count_rows(house.warehouse, "raw.hubspot_web_visits", f"load_id = '{job['id']}'")
    landed = done["result"]["tables"]["hubspot_web_visits"]
    assert visits == landed["inserted"] + landed["updated"] > 50_000
    repeat = house.start("ingest", "/v1/syncs", {"source": "mock", "mode": "full", "options": MARKET})
    assert house.wait(repeat["id"])["result"]["changed"] == 0


@pytest.mark.long
def test_a_build_whose_worker_is_killed_builds_the_same(house: House) -> None:
    house.wait(house.start("ingest", "/v1/syncs", {"source": "mock", "mode": "full", "options": MARKET})["id"])
    house.wait(house.start("transform", "/v1/builds", {})["id"])
    before = read_checksums(house.warehouse)
    job = house.start("transform", "/v1/builds", {})
    killed_at = house.kill_worker_during(job["id"], "transform", "build")
    assert house.wait(job["id"], seconds=LIMIT_SECONDS)["attempts"] == 2
    assert time.monotonic() - killed_at < LIMIT_SECONDS
    assert read_checksums(house.warehouse) == before


@pytest.mark.long
def test_a_scoring_whose_worker_is_killed_scores_each_account_once(house: House, ollama: FakeOllama) -> None:
    house.run_pipeline("mock", MARKET, limit=1)
    ollama.chats.clear()
    half_way, go_on = threading.Event(), threading.Event()

    def hold_the_fifteenth(_request: object) -> None:
        if len(ollama.chats) == 15:
            half_way.set()
            go_on.wait(30)

    ollama.on_chat = hold_the_fifteenth
    already = count_rows(house.warehouse, "reverse_etl_outbound.lead_score_history")
    job = house.start("scoring", "/v1/scorings", {"limit": 20, "force": True})
    assert half_way.wait(60), "fourteen answers are in, the fifteenth is awaited"
    killed_at = house.kill_worker_during(job["id"], "scoring.batch", "score")
    go_on.set()
    done = house.wait(job["id"], seconds=LIMIT_SECONDS)
    assert time.monotonic() - killed_at < LIMIT_SECONDS
    assert done["attempts"] == 2
    rows = count_rows(house.warehouse, "reverse_etl_outbound.lead_scores", f"job_id = '{job['id']}'")
    history = count_rows(house.warehouse, "reverse_etl_outbound.lead_score_history")
    assert (rows, history - already) == (20, 19), "the one that had its lead before got the same again: no change"
    assert len(ollama.chats) < 40, "what was written before the kill is not asked again"


def test_a_worker_that_is_asked_to_stop_costs_no_attempt(house: House, ollama: FakeOllama) -> None:
    asked = threading.Event()

    def be_slow(_request: object) -> None:
        asked.set()
        threading.Event().wait(0.5)

    ollama.on_chat = be_slow
    job = house.start("scoring", "/v1/scorings", {"limit": 12, "force": True})
    assert asked.wait(60)
    worker = house.workers["scoring.batch"]
    worker.stop()  # SIGTERM, which REMAP_SIGTERM turns into a soft shutdown
    worker.restart()
    done = house.wait(job["id"], seconds=LIMIT_SECONDS)
    assert (done["attempts"], done["result"]["scored"]) == (1, 12)


@pytest.mark.long
def test_a_flushed_redis_loses_none_of_fifty_queued_jobs(house: House) -> None:
    house.workers["ingest"].kill()
    (house.exports / "company.csv").write_text("id,property_name,_fivetran_synced\n1,Falkor,2026-01-01\n")
    tiny = {"source": "files", "options": {"mapping": "hubspot_export", "path": str(house.exports)}}
    jobs = [house.start("ingest", "/v1/syncs", tiny)["id"] for _ in range(50)]
    house.redis.client.flushall()
    flushed_at = time.monotonic()
    house.workers["ingest"].restart()
    for job_id in jobs:
        assert house.wait(job_id, seconds=90)["attempts"] == 1
    assert time.monotonic() - flushed_at < 120
