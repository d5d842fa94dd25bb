"""The product's own syncs and scorings while their warehouse and their model break: each row is there once.

What a toy can't show: MERGEs of the real adapters, over DuckDB and over Snowflake's protocol.
"""

import fcntl
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import psutil
import sqlalchemy as sa

from shared.operations.migrate import migrate
from shared.settings import WarehouseSettings
from shared.warehouse import Warehouse, open_warehouse
from tests.chaos.campaign import Outcome
from tests.chaos.load import Calls
from tests.chaos.observer import RANK
from tests.chaos.verdict import Verdict
from tests.conftest import RedisServer, find_redis_binary, wait_until
from tests.e2e.checksums import count_rows
from tests.emulator import SnowflakeEmulator
from tests.fakes.ollama import FAULTS, FakeOllama, good
from tests.ports import free_port
from tests.scoring.conftest import account, write_marts
from tests.servers import ApiServer, Server, start_sweeper, start_worker

_MODEL: Final = "smollm2:135m"
_ACCOUNTS: Final = 24
_NONSENSE: Final = ("prose", "empty", "200-html", "500", "length", "reset-mid-body", "hostile", "endless-space")
_JOB_SECONDS: Final = 170
_ANSWER_SECONDS: Final = 3


class Workshop:
    """One service with its API, a worker and a sweeper, as real processes."""

    def __init__(self, folder: Path, service: str, queue: str, env: dict[str, str]) -> None:
        self._redis = RedisServer(find_redis_binary(), folder, "--save", "")
        self._redis.start()
        self.data_dir = folder / "var"
        self.data_dir.mkdir()
        migrate(f"sqlite:///{self.data_dir / 'operations.sqlite3'}")
        base = {"GTM_DATA_DIR": str(self.data_dir), "GTM_ENV": "local", "GTM_ENV_FILE": os.devnull}
        base |= {"REDIS_URL": self._redis.url, "GTM_LEASE_SECONDS": "5", "GTM_HEARTBEAT_SECONDS": "1", **env}
        logs = folder / "logs"
        self.api = ApiServer(service, logs, base)
        self.worker = start_worker(service, queue, logs, base)
        self._servers: list[Server] = [self.api, self.worker, start_sweeper(logs, base)]
        self.api.wait_ready()

    def start(self, path: str, body: dict[str, Any]) -> str:
        """The accepted job's id."""
        answer = httpx.post(f"{self.api.url}{path}", json=body, timeout=20)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        """As the API shows it."""
        job: dict[str, Any] = httpx.get(f"{self.api.url}/v1/jobs/{job_id}", timeout=20).json()
        return job

    def wait(self, job_id: str) -> dict[str, Any]:
        """Its end."""
        wait_until(lambda: RANK[self.job(job_id)["state"]] == 2, f"{job_id} ends", seconds=_JOB_SECONDS, poll=0.2)
        return self.job(job_id)

    def close(self) -> None:
        for server in self._servers:
            server.kill()
        self._redis.client.close()
        self._redis.stop()


@contextmanager
def _open(folder: Path, service: str, queue: str, env: dict[str, str]) -> Iterator[Workshop]:
    workshop = Workshop(folder, service, queue, env)
    try:
        yield workshop
    finally:
        workshop.close()


Break = Callable[[random.Random], None]


def _run_each(
    workshop: Workshop,
    breaks: dict[str, Break],
    times: int,
    dice: random.Random,
    start: Callable[[], str],
    end: Callable[[str], None],
) -> list[str]:
    """Each break so many times, at a random moment of a job of its own."""
    order = [name for name in breaks for _ in range(times)]
    dice.shuffle(order)
    for name in order:
        job_id = start()
        wait_until(partial(_has_begun, workshop, job_id), "it is taken up", seconds=60, poll=0.02)
        threading.Event().wait(dice.uniform(0, 1.2))
        breaks[name](dice)
        end(job_id)
    return order


def _has_begun(workshop: Workshop, job_id: str) -> bool:
    return RANK[workshop.job(job_id)["state"]] > 0


def syncs_over_snowflake(folder: Path, seed: int, times: int) -> Outcome:
    """The protocol's answers are lost before or after a commit took place, the server is busy, slow or gone."""
    started, dice, verdict = time.monotonic(), random.Random(seed), Verdict()
    port = str(free_port())
    with SnowflakeEmulator(folder / "snowflake", "--port", port, "--idle-seconds", "1", keeps=True) as emulator:

        def lose(when: str, match: str, _: random.Random) -> None:
            emulator.fail(at="statement", match=match, cut=when)

        def restart(dice: random.Random) -> None:
            emulator.process.kill()
            emulator.process.wait()
            threading.Event().wait(dice.uniform(1, 4))
            emulator.__enter__()

        breaks: dict[str, Break] = {
            "commit answered ambiguously": partial(lose, "after", "^commit"),
            "commit lost": partial(lose, "before", "^commit"),
            "merge answered ambiguously": partial(lose, "after", "^merge"),
            "warehouse throttles": lambda _: emulator.fail(at="http", status=503, times=4),
            "warehouse slow": lambda _: emulator.fail(at="statement", match="^(merge|insert)", seconds=3),
            "warehouse killed": restart,
        }
        env = emulator.environment("CHAOS") | {"GTM_INGEST_SEGMENT_ROWS": "60"}
        with _open(folder, "ingest", "ingest", env) as workshop:
            warehouse = open_warehouse(emulator.settings("CHAOS"))
            happened = _run_syncs(workshop, warehouse, breaks, times, dice, verdict)
    return _outcome("syncs over Snowflake's protocol", verdict, happened, started)


def syncs_over_duckdb(folder: Path, seed: int, times: int) -> Outcome:
    """The file is held by somebody else; the worker's child dies."""
    started, dice, verdict = time.monotonic(), random.Random(seed), Verdict()
    with _open(folder, "ingest", "ingest", {"GTM_INGEST_SEGMENT_ROWS": "60"}) as workshop:
        path = workshop.data_dir / "warehouse" / "core.duckdb.lock"

        def hold(dice: random.Random) -> None:
            path.parent.mkdir(exist_ok=True)
            with path.open("a") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                threading.Event().wait(dice.uniform(3, 6))

        breaks: dict[str, Break] = {"warehouse locked": hold, "child killed": lambda _: _kill_child(workshop)}
        settings = WarehouseSettings.model_validate({"GTM_DATA_DIR": workshop.data_dir})
        happened = _run_syncs(workshop, open_warehouse(settings), breaks, times, dice, verdict)
    return _outcome("syncs over DuckDB", verdict, happened, started)


def _kill_child(workshop: Workshop) -> None:
    for child in psutil.Process(workshop.worker.process.pid).children():
        child.send_signal(signal.SIGKILL)


def _run_syncs(
    workshop: Workshop,
    warehouse: Warehouse,
    breaks: dict[str, Break],
    times: int,
    dice: random.Random,
    verdict: Verdict,
) -> list[str]:
    def start() -> str:
        options = {"accounts": 30, "visits": 150, "seed": dice.randrange(1000)}
        body = {"source": "mock", "mode": "full", "options": options, "accept_volume": True}
        return workshop.start("/v1/syncs", body)

    def end(job_id: str) -> None:
        _judge_sync(workshop, warehouse, job_id, verdict)

    return _run_each(workshop, breaks, times, dice, start, end)


def _judge_sync(workshop: Workshop, warehouse: Warehouse, job_id: str, verdict: Verdict) -> None:
    job = workshop.wait(job_id)
    verdict.accepted += 1
    verdict.ended[job["state"]] += 1
    verdict.taken_up_again += job["attempts"] > 1
    if job["state"] != "succeeded":
        verdict.violations.append(f"{job_id} {job['state']}: {job['error']}")
        return
    with warehouse.core() as connection:
        for table, counts in job["result"]["tables"].items():
            query = f"select count(*), count(distinct source_system || source_record_id) from raw.{table}"
            rows, keys = connection.execute(sa.text(query)).one()
            mine = connection.execute(sa.text(f"select count(*) from raw.{table} where load_id = '{job_id}'")).scalar()
            told = counts["inserted"] + counts["updated"] + (counts.get("deleted") or 0)
            if rows != keys:
                verdict.doubled.append(f"{job_id} {table}: {rows} rows of {keys} keys")
            if mine != told:
                verdict.lost.append(f"{job_id} {table}: {mine} rows are of the load, which told of {told}")


def scorings(folder: Path, seed: int, times: int) -> Outcome:
    """The model server dies, hangs or talks nonsense; the worker's child dies; somebody holds the leads' file."""
    started, dice, verdict = time.monotonic(), random.Random(seed), Verdict()
    with FakeOllama({_MODEL: "digest-one"}) as ollama:
        ollama.runner.answer_seconds = 0.1
        ollama.runner.num_parallel = 2
        env = {"OLLAMA_HOST": ollama.url, "OLLAMA_MODEL": _MODEL, "OLLAMA_NUM_PARALLEL": "2"}
        env |= {"GTM_MODEL_ANSWER_TIMEOUT_SECONDS": str(_ANSWER_SECONDS), "GTM_SCORE_BATCH_ACCOUNTS": "5"}
        with _open(folder, "scoring", "scoring.batch", env) as workshop:
            settings = WarehouseSettings.model_validate({"GTM_DATA_DIR": workshop.data_dir})
            warehouse = open_warehouse(settings)
            write_marts(warehouse, [account(number) for number in range(1, _ACCOUNTS + 1)])
            happened = _run_each(
                workshop,
                _model_breaks(ollama, workshop),
                times,
                dice,
                lambda: workshop.start("/v1/scorings", {"force": True}),
                lambda job_id: _judge_scoring(workshop, warehouse, job_id, verdict),
            )
    return _outcome("scorings", verdict, happened, started)


def _model_breaks(ollama: FakeOllama, workshop: Workshop) -> dict[str, Break]:
    def die(dice: random.Random) -> None:
        ollama.die()
        threading.Event().wait(dice.uniform(1, 4))
        ollama.revive()

    def hang(dice: random.Random) -> None:
        ollama.runner.answer_seconds = _ANSWER_SECONDS * 2
        threading.Event().wait(dice.uniform(1, 4))
        ollama.runner.answer_seconds = 0.1

    def rave(dice: random.Random) -> None:
        for _ in range(4):
            ollama.default = FAULTS[dice.choice(_NONSENSE)]
            threading.Event().wait(0.4)
        ollama.default = good

    return {
        "model server killed": die,
        "model server hangs": hang,
        "model talks nonsense": rave,
        "child killed": lambda _: _kill_child(workshop),
    }


def _judge_scoring(workshop: Workshop, warehouse: Warehouse, job_id: str, verdict: Verdict) -> None:
    job = workshop.wait(job_id)
    verdict.accepted += 1
    verdict.ended[job["state"]] += 1
    verdict.taken_up_again += job["attempts"] > 1
    if job["state"] != "succeeded":
        verdict.violations.append(f"{job_id} {job['state']}: {job['error']}")
        return
    rows = count_rows(warehouse, "reverse_etl_outbound.lead_scores")
    if rows != _ACCOUNTS:
        verdict.lost.append(f"{job_id}: {rows} leads of {_ACCOUNTS} accounts")
    twice = f"job_id = '{job_id}' and account_id in (select account_id from reverse_etl_outbound.lead_score_history"
    twice += f" where job_id = '{job_id}' group by account_id having count(*) > 1)"
    if count_rows(warehouse, "reverse_etl_outbound.lead_score_history", twice):
        verdict.doubled.append(f"{job_id}: two entries of history for one account")


def _outcome(name: str, verdict: Verdict, happened: list[str], started: float) -> Outcome:
    kills = sum("killed" in one for one in happened)
    counts = ", ".join(f"{count} {one}" for one, count in sorted(Counter(happened).items()))
    notes = [counts, f"taken up again: {verdict.taken_up_again}"]
    return Outcome(name, verdict, [], Calls(), kills, time.monotonic() - started, notes)
