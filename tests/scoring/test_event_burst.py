"""1,200 events on 21 accounts in seconds, through real processes: few rescores, and the last event decides each row."""

import asyncio
import json
import os
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from standardwebhooks import Webhook

from shared.operations.migrate import migrate
from shared.warehouse import Warehouse
from tests.conftest import RedisServer
from tests.fakes.ollama import FakeOllama
from tests.scoring.conftest import BuildMarts, account, read_table
from tests.servers import ApiServer, start_sweeper, start_worker
from tests.webhook_bursts import read_jobs, read_leads, read_marts, tell_waits, wait_for_quiet

pytestmark = [
    pytest.mark.processes,
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.environ.get("WEBHOOK_BURST") != "1", reason="a minute of processes: make webhook-burst"),
]

WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # the Standard Webhooks specification's example
ACCOUNTS, ROUNDS, A_ROUND = 21, 12, 100
MOST_RUNS = 60


class Scoring:
    """API, both workers and the sweeper."""

    def __init__(self, folder: Path, redis_url: str, ollama_url: str) -> None:
        env = {"GTM_DATA_DIR": str(folder / "var"), "GTM_ENV": "local", "GTM_ENV_FILE": os.devnull}
        env |= {"REDIS_URL": redis_url, "OLLAMA_HOST": ollama_url, "GTM_WEBHOOK_SECRET": WEBHOOK_SECRET}
        migrate(f"sqlite:///{folder / 'var' / 'operations.sqlite3'}")
        self.api = ApiServer("scoring", folder / "logs", env)
        queues = ("scoring.batch", "scoring.interactive")
        self.others = [start_worker("scoring", queue, folder / "logs", env) for queue in queues]
        self.others.append(start_sweeper(folder / "logs", env))
        self.api.wait_ready()

    def close(self) -> None:
        for server in [*self.others, self.api]:
            server.kill()


@pytest.fixture
def scoring(
    tmp_path: Path, redis_server: RedisServer, ollama: FakeOllama, build_marts: BuildMarts
) -> Iterator[Scoring]:
    """The scoring service alone, with marts of 21 accounts that all have a lead."""
    build_marts(*(account(number) for number in range(ACCOUNTS)))
    running = Scoring(tmp_path, redis_server.url, ollama.url)
    yield running
    running.close()


def test_events_of_accounts_are_few_rescores_and_the_last_one_decides(
    scoring: Scoring, warehouse: Warehouse, ollama: FakeOllama
) -> None:
    accounts = [f"hubspot:{number}" for number in range(ACCOUNTS)]
    url = f"{scoring.api.url}/v1/scorings"
    first = httpx.post(url, json={"scope": {"account_ids": accounts}}, timeout=20)
    assert first.status_code == 202
    wait_for_quiet(scoring.api.url, "scoring")
    started, waits = time.monotonic(), list[float]()
    for number in range(ROUNDS):
        # Five of six events are of one account; the others take turns, and some are quiet for a while.
        named = [accounts[0] if step % 6 else accounts[1 + (number * 17 + step // 6) % 20] for step in range(A_ROUND)]
        _change(warehouse, sorted(set(named)), number)
        waits += asyncio.run(_deliver_all(scoring.api.url, named, number))
    seconds = time.monotonic() - started
    wait_for_quiet(scoring.api.url, "rescore")
    runs = read_jobs(scoring.api.url, "rescore")
    assert {job["state"] for job in runs} == {"succeeded"}
    per_account = [sum(job["subject"] == one for job in runs) for one in accounts]
    print(f"\n{len(waits)} events in {seconds:.1f} s: {len(runs)} runs, {per_account}; acknowledged", tell_waits(waits))
    assert len(runs) <= MOST_RUNS and min(per_account) >= 1
    leads, marts = read_leads(warehouse, accounts), read_marts(warehouse, accounts)
    assert leads == marts, "the row of each account is its last event's"
    assert len(ollama.chats) == ACCOUNTS, "another name and a few vehicles more are no other question"
    pitches = {row["account_id"]: row["pitch"] for row in read_table(warehouse, "lead_scores")}
    assert all(marts[one][0] in pitch for one, pitch in pitches.items()), pitches


def _change(warehouse: Warehouse, account_ids: Sequence[str], number: int) -> None:
    """What a build would have done with a rename and a fleet that grows within its bucket: `profile_hash` stays."""
    statement = sa.text(
        "update analytics.dim_accounts set account_name = 'Falkor ' || cast(:number as varchar),"
        " fleet_size = 61 + :number, facts_hash = md5(account_id || cast(:number as varchar)), dbt_updated_at = :now"
        " where account_id in :ids"
    ).bindparams(sa.bindparam("ids", expanding=True))
    now = datetime.now(UTC).replace(tzinfo=None)
    with warehouse.core(write=True) as connection:
        connection.execute(statement, {"number": number, "now": now, "ids": list(account_ids)})


async def _deliver_all(base: str, account_ids: Sequence[str], number: int) -> list[float]:
    """Seconds until each was acknowledged, ten at a time."""
    url = f"{base}/v1/webhooks/generic"
    turn = asyncio.Semaphore(10)

    async def deliver(client: httpx.AsyncClient, step: int, account_id: str) -> float:
        body = json.dumps({"type": "account.changed", "account_id": account_id})
        moment = datetime.fromtimestamp(int(time.time()), UTC)
        event_id = f"burst_{number}_{step}"
        headers = {
            "webhook-id": event_id,
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": Webhook(WEBHOOK_SECRET).sign(event_id, moment, body),
        }
        async with turn:
            asked = time.monotonic()
            response = await client.post(url, content=body, headers=headers)
            assert response.status_code == 202, response.text
            return time.monotonic() - asked

    async with httpx.AsyncClient(timeout=20) as client:
        return await asyncio.gather(*(deliver(client, step, one) for step, one in enumerate(account_ids)))
