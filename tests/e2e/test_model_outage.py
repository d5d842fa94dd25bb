"""Ollama killed in the middle of a batch, and back: the job waits, succeeds, and no account is lost or scored twice."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from shared.operations.migrate import migrate
from shared.settings import WarehouseSettings
from shared.warehouse import Warehouse, open_warehouse
from tests.conftest import REPOSITORY, RedisServer, wait_until
from tests.e2e.checksums import count_rows
from tests.e2e.house import TERMINAL, House
from tests.fakes.ollama import FakeOllama
from tests.ports import free_port
from tests.scoring.conftest import account, write_marts
from tests.servers import ApiServer, start_worker

pytestmark = pytest.mark.processes
OUTAGE_SECONDS = float(os.environ.get("OUTAGE_SECONDS", "0"))  # `make model-outage`: twenty
MARKET = {"accounts": 80, "visits": 2_000, "seed": 11, "dirt": 0.1}
ACCOUNTS = 24
PARALLEL = 2
MODEL = "smollm2:135m"


class OllamaProcess:
    """The fake as a process on one port, so that it can be killed and started again."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[str] | None = None
        self.start()

    def start(self) -> None:
        """A cold one: its model has to be loaded first."""
        options = f"--port {self.port} --latency-ms 200 --num-parallel {PARALLEL} --load-ms 500".split()
        command = [sys.executable, "-m", "tests.fakes.ollama_server", *options, "--model", MODEL]
        self._process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() == self.url
        self._process.stdout.close()

    def kill(self) -> None:
        """SIGKILL: no farewell to anyone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def count(self, what: str) -> int:
        """One of its counters since its start."""
        counts: dict[str, int] = httpx.get(f"{self.url}/fake/counts", timeout=5).json()
        return counts[what]


def has_prospects(house: House) -> bool:
    """Enough of them in the house's marts."""
    try:
        return count_rows(house.warehouse, "analytics.dim_accounts", "is_active_prospect") >= ACCOUNTS
    except sa.exc.ProgrammingError:  # no build yet
        return False


def scored_once(warehouse: Warehouse, job: dict[str, Any]) -> None:
    """Every account has its row and at most one entry of history by this job."""
    by_job = f"job_id = '{job['id']}'"
    assert (job["state"], job["attempts"]) == ("succeeded", 1), job
    assert (job["result"]["scored"], job["result"]["baseline_only"]) == (ACCOUNTS, 0)
    assert count_rows(warehouse, "reverse_etl_outbound.lead_scores", by_job) == ACCOUNTS
    twice = f"{by_job} and account_id in (select account_id from reverse_etl_outbound.lead_score_history"
    twice += f" where {by_job} group by account_id having count(*) > 1)"
    assert count_rows(warehouse, "reverse_etl_outbound.lead_score_history", twice) == 0


def test_a_model_server_that_dies_in_a_batch_is_waited_for(house: House, ollama: FakeOllama) -> None:
    if not has_prospects(house):  # the journeys before this one have built some
        house.run_pipeline("mock", MARKET, limit=1)
    ollama.chats.clear()
    answered, fifth = ollama.answered, threading.Event()
    ollama.on_chat = lambda request: fifth.set() if len(ollama.chats) == 5 else None
    job = house.start("scoring", "/v1/scorings", {"limit": ACCOUNTS, "force": True})
    assert fifth.wait(60)
    ollama.die()
    wait_until(lambda: house.job(job["id"])["progress"]["phase"] == "wait-for-model", "the job says that it waits")
    ollama.revive()
    scored_once(house.warehouse, house.wait(job["id"], seconds=60))
    assert ACCOUNTS <= ollama.answered - answered <= ACCOUNTS + 1, "at most the one in flight is asked again"


class ScoringHouse:
    """Scoring alone: Redis, its API and its worker as real processes, on marts written by hand."""

    def __init__(self, folder: Path, redis_binary: str, ollama_url: str) -> None:
        self.redis = RedisServer(redis_binary, folder, "--save", "", "--maxmemory-policy", "noeviction")
        self.redis.start()
        env = {
            "GTM_DATA_DIR": str(folder / "var"),
            "GTM_ENV": "local",
            "GTM_ENV_FILE": os.devnull,
            "REDIS_URL": self.redis.url,
            "OLLAMA_HOST": ollama_url,
            "OLLAMA_MODEL": MODEL,
            "OLLAMA_NUM_PARALLEL": str(PARALLEL),
        }
        migrate(f"sqlite:///{folder / 'var' / 'operations.sqlite3'}")
        self.warehouse = open_warehouse(WarehouseSettings(GTM_DATA_DIR=folder / "var"))
        write_marts(self.warehouse, [account(number) for number in range(1, ACCOUNTS + 1)])
        self.worker = start_worker("scoring", "scoring.batch", folder / "logs", env)
        self.api = ApiServer("scoring", folder / "logs", env)
        self.api.wait_ready()

    def score_all(self) -> str:
        """Start a job; its id. Forced: no build stands behind these marts."""
        response = httpx.post(f"{self.api.url}/v1/scorings", json={"force": True}, timeout=10)
        assert response.status_code == 202, response.text
        return str(response.json()["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        job: dict[str, Any] = httpx.get(f"{self.api.url}/v1/jobs/{job_id}", timeout=10).json()
        return job

    def close(self) -> None:
        self.worker.kill()
        self.api.kill()
        self.redis.client.close()
        self.redis.stop()


@pytest.fixture
def server() -> Iterator[OllamaProcess]:
    process = OllamaProcess()
    yield process
    process.kill()


@pytest.fixture
def scoring(tmp_path: Path, redis_binary: str, server: OllamaProcess) -> Iterator[ScoringHouse]:
    (tmp_path / "var").mkdir()
    running = ScoringHouse(tmp_path, redis_binary, server.url)
    yield running
    running.close()


@pytest.mark.skipif(not OUTAGE_SECONDS, reason="`make model-outage`")
def test_ollama_killed_mid_batch_and_back_later(scoring: ScoringHouse, server: OllamaProcess) -> None:
    job_id = scoring.score_all()
    wait_until(lambda: server.count("answered") >= 5, "five answers are in", seconds=60, poll=0.01)
    answered = server.count("answered")
    server.kill()
    threading.Event().wait(OUTAGE_SECONDS)
    job = scoring.job(job_id)
    assert (job["state"], job["progress"]["phase"]) == ("running", "wait-for-model")
    server.start()
    wait_until(lambda: scoring.job(job_id)["state"] in TERMINAL, "the job ends", seconds=60)
    scored_once(scoring.warehouse, scoring.job(job_id))
    again = answered + server.count("answered") - ACCOUNTS
    assert 0 <= again <= PARALLEL, "at most those in flight are asked again"
    log = scoring.worker.log()
    assert len(re.findall("model_host_left_out", log)) == len(re.findall("model_host_back", log)) == 1
