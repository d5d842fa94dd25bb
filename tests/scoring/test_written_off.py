"""An account that our code fails on or whose row can't be stored costs nobody but itself. Deaths: test_deaths.py."""

import json
from typing import Any

import pytest
import sqlalchemy as sa

from services.scoring.adapters import batches, interviews
from services.scoring.adapters.attempts import JobAttempts
from services.scoring.adapters.ollama import OllamaModel
from services.scoring.domain.written_off import MOST_ATTEMPTS
from services.scoring.flow import score_accounts
from services.scoring.settings import ScoringSettings
from shared.contracts import JobKind, JobState
from shared.errors import TransientError
from shared.jobs.context import JobCancelled, LeaseLost
from shared.jobs.store import JobStore
from shared.operations.database import OperationsDatabase
from shared.operations.models import Job
from shared.warehouse import Warehouse
from tests.fakes.ollama import FAULTS, FakeOllama, good, says
from tests.scoring.conftest import BuildMarts, FakeJob, account, read_table, to_settings

FIVE = [account(number) for number in range(1, 6)]
POISON = "hubspot:3"
OTHERS = [row["account_id"] for row in FIVE if row["account_id"] != POISON]


def rejects(warehouse: Warehouse) -> list[tuple[str, str, int]]:
    return [(row["account_id"], row["reason_code"], row["attempt"]) for row in read_table(warehouse, "score_rejects")]


def leads(warehouse: Warehouse) -> list[str]:
    return [row["account_id"] for row in read_table(warehouse, "lead_scores")]


def test_a_defect_that_one_account_brings_out_is_tried_three_times_and_told(
    warehouse: Warehouse,
    settings: ScoringSettings,
    build_marts: BuildMarts,
    ollama: FakeOllama,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    build_marts(*FIVE)
    original = interviews.interview

    def crash(profile: Any, *rest: Any) -> Any:
        questions = original(profile, *rest)
        reply = yield next(questions)
        if profile.account_id == POISON:
            raise ZeroDivisionError
        try:
            questions.send(reply)
        except StopIteration as stop:
            return stop.value

    monkeypatch.setattr(interviews, "interview", crash)
    result = score_accounts(FakeJob(), warehouse, OllamaModel(settings), settings)
    assert (result["candidates"], result["scored"], result["failed"]) == (5, 4, 1)
    assert leads(warehouse) == OTHERS and rejects(warehouse) == [(POISON, "account-failed", 0)]
    told = read_table(warehouse, "score_rejects")[0]
    assert "ZeroDivisionError" in told["reason"] and json.loads(told["raw_answer"])["lead_score"]
    assert len(ollama.chats) == 4 + MOST_ATTEMPTS
    again = score_accounts(FakeJob(), warehouse, OllamaModel(settings), settings)
    assert (again["candidates"], again["scored"], again["failed"], len(ollama.chats)) == (5, 4, 1, 7)
    monkeypatch.undo()
    mended = score_accounts(FakeJob("job-2"), warehouse, OllamaModel(settings), settings)
    assert (mended["unchanged"], mended["scored"]) == (4, 1)


def test_a_row_that_the_warehouse_refuses_is_found_among_its_batch(
    warehouse: Warehouse, settings: ScoringSettings, build_marts: BuildMarts, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_marts(*FIVE)
    original = batches.to_lead_row

    def spoil(outcome: Any, *rest: Any) -> dict[str, Any]:
        row = original(outcome, *rest)
        return row | {"seed": "no number"} if row["account_id"] == POISON else row

    monkeypatch.setattr(batches, "to_lead_row", spoil)
    result = score_accounts(FakeJob(), warehouse, OllamaModel(settings), settings)
    assert (result["scored"], result["failed"]) == (4, 1)
    assert leads(warehouse) == OTHERS and rejects(warehouse) == [(POISON, "account-failed", 0)]
    assert len(read_table(warehouse, "lead_score_history")) == 4


def test_half_a_character_in_an_answer_is_stored_as_a_question_mark(
    warehouse: Warehouse, settings: ScoringSettings, build_marts: BuildMarts, ollama: FakeOllama
) -> None:
    build_marts(FIVE[0])
    ollama.script.append(says("no \ud83d JSON"))
    result = score_accounts(FakeJob(), warehouse, OllamaModel(settings), settings)
    assert (result["scored"], result["failed"], result["rejected_answers"]) == (1, 0, 1)
    assert read_table(warehouse, "score_rejects")[0]["raw_answer"] == "no ? JSON"


@pytest.fixture
def job_id(operations: OperationsDatabase) -> str:
    """A scoring that runs."""
    started = JobStore(operations).start(JobKind.SCORING, {}).job.id
    with operations.write() as session:
        session.execute(sa.update(Job).where(Job.id == started).values(state=JobState.RUNNING, fence=1, attempts=1))
    return started


@pytest.mark.parametrize("end", ["cancelled", "away"])
def test_an_attempt_that_is_broken_off_is_no_accounts_fault(
    end: str,
    warehouse: Warehouse,
    build_marts: BuildMarts,
    ollama: FakeOllama,
    operations: OperationsDatabase,
    job_id: str,
) -> None:
    build_marts(*FIVE)
    job, attempts = FakeJob(job_id), JobAttempts(operations, job_id, 1)
    settings = to_settings(ollama.url, GTM_SCORE_BATCH_ACCOUNTS=1)
    attempts.note({POISON: 1}, [], is_place=False)  # as an earlier worker left it
    if end == "cancelled":

        def cancel() -> None:
            raise JobCancelled

        job.on_check = cancel
    else:
        ollama.default = FAULTS["503"]
    with pytest.raises((JobCancelled, TransientError)):
        score_accounts(job, warehouse, OllamaModel(settings), settings, attempts)
    assert attempts.read() == ({} if end == "cancelled" else {POISON: 1}), "it was answered before the cancel"
    ollama.default, job.on_check = good, lambda: None
    assert score_accounts(job, warehouse, OllamaModel(settings), settings, attempts)["scored"] == 5
    assert attempts.read() == {}


def test_a_worker_that_was_given_up_notes_nothing(operations: OperationsDatabase, job_id: str) -> None:
    JobAttempts(operations, job_id, 1).note({POISON: 1}, [], is_place=False)
    with pytest.raises(LeaseLost):
        JobAttempts(operations, job_id, 0).note({POISON: 2}, [], is_place=False)
    assert JobAttempts(operations, job_id, 1).read() == {POISON: 1}
