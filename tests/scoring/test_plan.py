"""A scoring is planned in pages: every open account once, in order, however pages and attempts fall."""

from collections.abc import Callable
from functools import partial
from threading import Event
from typing import Any

import pytest

from services.scoring import flow
from services.scoring.adapters import asking, profiles
from services.scoring.adapters.ollama import OllamaModel
from services.scoring.adapters.plan import PlanQuery, QuestionVersion, read_open, read_page, read_plan
from services.scoring.adapters.upserts import prepare_outbound, to_reject_rows, upsert_batch
from services.scoring.domain.written_off import after_deaths
from services.scoring.flow import score_accounts
from services.scoring.settings import ScoringSettings
from shared.contracts import AccountScope
from shared.jobs.context import JobCancelled, LeaseLost
from shared.warehouse import Warehouse
from tests.conftest import wait_until
from tests.fakes.ollama import FakeOllama
from tests.scoring.conftest import BuildMarts, FakeJob, account, read_table, to_settings

QUERY = PlanQuery(QuestionVersion("prompt", "digest", "rules", 10), "job-1")
SEVEN = [account(number, baseline_score=50 + number % 3) for number in range(1, 8)]
RANKED = ["2", "5", "1", "4", "7", "3", "6"]  # best baseline first, equal ones by id


def all_pages(warehouse: Warehouse, query: PlanQuery, page: int) -> list[str]:
    plan = read_plan(warehouse, query, page=page)
    found, last = list(plan.first), plan.first
    while len(last) == page:
        last = read_page(warehouse, query, last[-1], page)
        found += last
    assert plan.open == len(found)
    return [one.account_id.removeprefix("hubspot:") for one in found]


def test_pages_give_each_account_once_and_in_the_same_order(warehouse: Warehouse, build_marts: BuildMarts) -> None:
    build_marts(*SEVEN)
    assert [all_pages(warehouse, QUERY, page) for page in (2, 7, 8)] == [RANKED] * 3
    top = PlanQuery(QUERY.version, "job-1", limit=3)
    assert all_pages(warehouse, top, 2) == RANKED[:3]
    named = PlanQuery(QUERY.version, "job-1", AccountScope(account_ids=["hubspot:6", "hubspot:2", "it's \\ nobody"]))
    assert all_pages(warehouse, named, 1) == ["2", "6"]
    assert read_plan(warehouse, named).missing == 1


def test_what_a_job_has_written_off_is_done_for_this_job_alone(warehouse: Warehouse, build_marts: BuildMarts) -> None:
    build_marts(*SEVEN)
    prepare_outbound(warehouse)
    rejects = to_reject_rows(after_deaths("hubspot:5"), "job-1", SEVEN[0]["dbt_updated_at"])
    upsert_batch(warehouse, [], rejects, force=False, before_commit=lambda: None)
    plan = read_plan(warehouse, QUERY)
    assert (plan.candidates, plan.done, plan.unchanged, plan.open) == (7, 1, 0, 6)
    assert all_pages(warehouse, QUERY, 3) == [name for name in RANKED if name != "5"]
    assert [one.account_id for one in read_open(warehouse, QUERY, ["hubspot:5", "hubspot:6"])] == ["hubspot:6"]
    assert all_pages(warehouse, PlanQuery(QUERY.version, "job-2", force=True), 4) == RANKED


@pytest.fixture
def in_small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of two accounts, slices of one, windows of one."""
    monkeypatch.setattr(flow, "read_plan", partial(read_plan, page=2))
    monkeypatch.setattr(profiles, "SLICE_ACCOUNTS", 1)
    monkeypatch.setattr(profiles, "WINDOW_ACCOUNTS", 1)
    monkeypatch.setattr(asking, "WINDOW_ACCOUNTS", 1)


@pytest.mark.usefixtures("in_small_pieces")
def test_a_job_that_dies_at_any_batch_goes_on_there(
    warehouse: Warehouse, build_marts: BuildMarts, ollama: FakeOllama
) -> None:
    build_marts(*SEVEN)
    settings = to_settings(ollama.url, GTM_SCORE_BATCH_ACCOUNTS=2)

    def lose_lease_at(check: int) -> FakeJob:
        job = FakeJob()

        def look() -> None:
            if job.checks == check:
                raise LeaseLost

        job.on_check = look
        return job

    for _ in range(2):  # each attempt commits one batch and loses the next
        with pytest.raises(LeaseLost):
            score_accounts(lose_lease_at(2), warehouse, OllamaModel(settings), settings)
    result = score_accounts(FakeJob(), warehouse, OllamaModel(settings), settings)
    assert (result["candidates"], result["scored"], result["unchanged"]) == (7, 7, 0)
    assert [len(read_table(warehouse, name)) for name in ("lead_scores", "lead_score_history")] == [7, 7]
    asked = len(ollama.chats)
    assert score_accounts(FakeJob("job-2"), warehouse, OllamaModel(settings), settings)["unchanged"] == 7
    assert len(ollama.chats) == asked


@pytest.mark.usefixtures("in_small_pieces")
def test_the_model_is_asked_on_while_results_are_written_and_accounts_are_read_ahead(
    warehouse: Warehouse, build_marts: BuildMarts, ollama: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_marts(*SEVEN)
    settings = to_settings(ollama.url, GTM_SCORE_BATCH_ACCOUNTS=1)
    read: list[str] = []
    ahead: list[bool] = []

    def note_reading(warehouse: Warehouse, ids: list[str]) -> Any:
        read.extend(ids)
        return original(warehouse, ids)

    original = profiles.read_accounts
    monkeypatch.setattr(profiles, "read_accounts", note_reading)
    ollama.on_chat = lambda request: ahead.append(_comes_true(lambda: len(read) >= min(7, len(ollama.chats) + 1)))
    job = FakeJob()
    job.on_check = lambda: _comes_true(lambda: len(ollama.chats) >= min(7, job.checks + 1)) or pytest.fail("stalled")
    assert score_accounts(job, warehouse, OllamaModel(settings), settings)["scored"] == 7
    assert ahead == [True] * 7, "the next one was there before this one's answer"


def test_a_cancel_is_noticed_while_the_model_thinks(
    warehouse: Warehouse, build_marts: BuildMarts, ollama: FakeOllama, settings: ScoringSettings
) -> None:
    build_marts(*SEVEN)
    answered = Event()
    ollama.on_chat = lambda request: answered.wait(20) and None

    class Cancelled(FakeJob):
        def report(self, phase: str, done: int, total: int | None = None, unit: str = "rows") -> None:
            if phase == "score":
                raise JobCancelled

    with pytest.raises(JobCancelled):
        score_accounts(Cancelled(), warehouse, OllamaModel(settings), settings)
    assert not answered.is_set()
    answered.set()
    assert read_table(warehouse, "lead_scores") == []


def _comes_true(condition: Callable[[], bool]) -> bool:
    try:
        wait_until(condition, "see the caller", seconds=10, poll=0.005)
    except AssertionError:
        return False
    return True
