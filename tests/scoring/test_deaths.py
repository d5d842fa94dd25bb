"""Accounts that kill the worker, and deaths that are nobody's fault: real processes, claims as a worker makes them."""

import os
import signal
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import sqlalchemy as sa

from services.scoring.adapters.attempts import JobAttempts, Turns, may_blame
from services.scoring.adapters.models import open_model
from services.scoring.domain.written_off import MOST_ATTEMPTS
from services.scoring.flow import score_accounts
from shared.contracts import JobKind, JobState
from shared.jobs.leases import Leases
from shared.jobs.store import JobStore
from shared.operations.database import OperationsDatabase
from shared.operations.models import AccountAttempt, Job
from shared.settings import OperationsSettings
from shared.warehouse import Warehouse
from tests.fakes.ollama import FakeOllama, account_of
from tests.scoring.conftest import BuildMarts, FakeJob, account, read_table, to_settings
from tests.scoring.profiles import profile

EIGHT = [account(number) for number in range(1, 9)]


@dataclass
class Deaths:
    """One job, attempt by attempt. `kills` says which question ends the process that asks it."""

    operations: OperationsDatabase
    warehouse: Warehouse
    ollama: FakeOllama
    kills: Callable[[int], bool] = lambda fleet: False
    job_id: str = ""
    children: list[int] = field(default_factory=list)

    def start(self) -> None:
        self.job_id = JobStore(self.operations).start(JobKind.SCORING, {}).job.id
        self.ollama.on_chat = self._on_chat

    def _on_chat(self, request: dict[str, Any]) -> None:
        if self.kills(int(account_of(request)["slots"]["fleet_size"])):
            os.kill(self.children[-1], signal.SIGKILL)

    def attempt(self) -> int | None:
        """Claimed as a worker claims it, in a process of its own: its exit status, None where the job has ended."""
        with self.operations.write() as session:  # the lease of the one before has run out
            named = sa.update(Job).where(Job.id == self.job_id, Job.state == JobState.RUNNING)
            session.execute(named.values(lease_until=None, worker=None))
        url = str(self.operations.engine.url)
        claim, _ = Leases(self.operations, OperationsSettings(GTM_DATABASE_URL=url)).claim(self.job_id)
        if claim is None:
            return None
        self.operations.dispose()  # a child must not share its parent's connections
        child = os.fork()
        if child == 0:
            try:
                chosen = to_settings(self.ollama.url, OLLAMA_NUM_PARALLEL=4)
                attempts = JobAttempts(OperationsDatabase(url), self.job_id, claim.fence)
                job = FakeJob(self.job_id, dict(claim.request))
                score_accounts(job, self.warehouse, open_model(chosen), chosen, attempts)
                os._exit(0)
            finally:
                os._exit(1)
        self.children.append(child)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def until_the_end(self) -> list[int | None]:
        ends: list[int | None] = []
        while len(ends) < 20 and (not ends or ends[-1] not in (0, None)):
            ends.append(self.attempt())
        return ends

    @property
    def suspects(self) -> dict[str, int]:
        with self.operations.read() as session:
            rows = session.execute(sa.select(AccountAttempt.account_id, AccountAttempt.attempts)).tuples().all()
        return dict(rows)


@pytest.fixture
def deaths(operations: OperationsDatabase, warehouse: Warehouse, ollama: FakeOllama) -> Deaths:
    return Deaths(operations, warehouse, ollama)


@pytest.mark.parametrize("poisons", [(3,), (3, 4), (2, 3, 8)], ids=len)
def test_accounts_that_kill_the_worker_are_written_off_and_no_others(
    deaths: Deaths, build_marts: BuildMarts, poisons: tuple[int, ...]
) -> None:
    build_marts(*EIGHT)
    deaths.kills = lambda fleet: fleet - 60 in poisons
    deaths.start()
    ends = deaths.until_the_end()
    assert ends[-1] == 0 and set(ends[:-1]) == {-signal.SIGKILL}
    assert len(ends) <= MOST_ATTEMPTS * len(poisons) + 1
    leads = [row["account_id"] for row in read_table(deaths.warehouse, "lead_scores")]
    assert leads == [row["account_id"] for row in EIGHT if row["account_id"] not in _names(poisons)]
    rejects = read_table(deaths.warehouse, "score_rejects")
    assert {row["account_id"] for row in rejects} == set(_names(poisons))
    assert {row["reason_code"] for row in rejects} == {"account-failed"}
    assert deaths.suspects == {}


def _names(numbers: Collection[int]) -> list[str]:
    return [f"hubspot:{number}" for number in numbers]


def test_a_death_leaves_few_suspects_however_much_is_not_written(deaths: Deaths, build_marts: BuildMarts) -> None:
    build_marts(*(account(number) for number in range(1, 251)))
    deaths.kills = lambda fleet: len(deaths.ollama.chats) >= 240
    deaths.start()
    assert deaths.attempt() == -signal.SIGKILL
    assert read_table(deaths.warehouse, "lead_scores") == [], "nothing was written: batches are of 500"
    assert 0 < len(deaths.suspects) < 100


class Places:
    """Notes which turns were places to go on from."""

    def __init__(self, earlier: Mapping[str, int]) -> None:
        self._earlier = dict(earlier)
        self.kept: list[bool] = []

    def read(self) -> dict[str, int]:
        return self._earlier

    def note(self, begun: Mapping[str, int], ended: Collection[str], *, is_place: bool) -> None:
        self.kept.append(is_place)


@pytest.mark.parametrize("is_dry_run", [True, False])
def test_a_dry_run_has_no_place_to_go_on_from(
    warehouse: Warehouse, build_marts: BuildMarts, ollama: FakeOllama, is_dry_run: bool
) -> None:
    build_marts(*(account(number) for number in range(1, 121)))
    settings, places = to_settings(ollama.url, GTM_SCORE_BATCH_ACCOUNTS=10), Places({})
    job = FakeJob(request={"dry_run": is_dry_run})
    score_accounts(job, warehouse, open_model(settings), settings, places)
    assert any(places.kept) is not is_dry_run, "it would start over for ever"


def test_a_worker_that_dies_of_nearly_each_account_gets_no_further_by_blaming_them() -> None:
    assert may_blame(9, 0) and may_blame(50, 400) and not may_blame(10, 3)
    asked = profile()
    for is_blamed in (True, False):
        places = Places({asked.account_id: 2})
        turns = Turns(places, may_blame=is_blamed)
        turns.read()
        turns.begin([asked])
        turns.store(0)
        turns.begin([])
        turns.store(1)
        turns.begin([])
        assert places.kept == [is_blamed, False, True]
