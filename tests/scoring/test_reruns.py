"""A job that comes by an account twice, or too late: nothing of its history is lost, and its counts add up."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from services.scoring.adapters.ollama import OllamaModel
from services.scoring.flow import rescore_account, score_accounts
from services.scoring.settings import ScoringSettings
from shared.warehouse import Warehouse
from tests.fakes.ollama import FAULTS, FakeOllama, good
from tests.scoring.conftest import BuildMarts, FakeJob, account, read_table

Score = Callable[..., dict[str, Any]]


@pytest.fixture
def score(warehouse: Warehouse, settings: ScoringSettings) -> Score:
    """Run one attempt of a scoring job."""

    def run(job: FakeJob | str) -> dict[str, Any]:
        job = job if isinstance(job, FakeJob) else FakeJob(job)
        return score_accounts(job, warehouse, OllamaModel(settings), settings)

    return run


def at(day: int, **changes: Any) -> dict[str, Any]:
    return account(1, dbt_updated_at=datetime(2026, 1, day), **changes)


def test_a_job_that_scores_an_account_once_more_tells_both_changes_and_all_refusals(
    score: Score, warehouse: Warehouse, settings: ScoringSettings, build_marts: BuildMarts, ollama: FakeOllama
) -> None:
    build_marts(at(1))
    score("first")
    build_marts(at(2, engagement_score=8))
    ollama.script.extend([FAULTS["prose"], good])
    score("long")
    build_marts(at(3, engagement_score=20))
    event = FakeJob("event", {"account_id": "hubspot:1"})
    rescore_account(event, warehouse, OllamaModel(settings), settings)
    build_marts(at(4, engagement_score=44))
    ollama.script.extend([FAULTS["prose"], good])
    score("long")  # its worker was lost; another takes the job up
    told = {row["job_id"]: row for row in read_table(warehouse, "lead_score_history")}
    (lead,) = read_table(warehouse, "lead_scores")
    assert lead["job_id"] == "long" and told["long"]["lead_score"] == lead["lead_score"]
    assert told["long"]["previous_lead_score"] == told["first"]["lead_score"]
    changed = json.loads(told["long"]["changed"])["lead_score"]
    assert changed == [told["first"]["lead_score"], lead["lead_score"]]
    assert [row["attempt"] for row in read_table(warehouse, "score_rejects")] == [1, 1]
    stored = [read_table(warehouse, name) for name in ("lead_scores", "lead_score_history", "score_rejects")]
    score("long")
    assert [read_table(warehouse, name) for name in ("lead_scores", "lead_score_history", "score_rejects")] == stored


def test_an_answer_that_a_newer_lead_supersedes_is_no_scored_account(
    score: Score, warehouse: Warehouse, build_marts: BuildMarts
) -> None:
    build_marts(at(9))
    score("job-1")
    build_marts(at(2, fleet_size=400))
    result = score("job-2")
    assert (result["candidates"], result["scored"], result["superseded"], result["llm_calls"]) == (1, 0, 1, 1)
    assert read_table(warehouse, "lead_scores")[0]["job_id"] == "job-1"


def test_counts_of_a_resumed_job_add_up_where_an_account_left_its_scope(score: Score, build_marts: BuildMarts) -> None:
    build_marts(account(1), account(2))
    score("job-1")
    build_marts(account(1, is_active_prospect=False), account(2), account(3))
    job = FakeJob("job-1")
    result = score(job)
    assert (result["candidates"], result["unchanged"], result["scored"]) == (3, 0, 3)
    assert job.reports[-1] == ("score", 3, 3)


def test_a_fact_that_moves_no_points_is_told_as_what_it_is(
    score: Score, warehouse: Warehouse, build_marts: BuildMarts, ollama: FakeOllama
) -> None:
    ollama.default = FAULTS["prose"]  # the template names the fleet
    build_marts(at(1, fleet_size=60))
    score("job-1")
    build_marts(at(2, fleet_size=240))
    score("job-2")
    change = read_table(warehouse, "lead_score_history")[-1]
    (reason,) = json.loads(change["reasons"])[:1]
    assert (reason["kind"], reason["factor"], reason["points"]) == ("factor", "fleet_size", 0)
    assert (reason["before"], reason["after"]) == ("60", "240")


def test_another_bound_is_told_once(warehouse: Warehouse, settings: ScoringSettings, build_marts: BuildMarts) -> None:
    build_marts(account(1))
    other = settings.model_copy(update={"score_bound": 2})
    for name, one in (("job-1", settings), ("job-2", other)):
        assert score_accounts(FakeJob(name), warehouse, OllamaModel(one), one)["scored"] == 1
    change = read_table(warehouse, "lead_score_history")[-1]
    assert [reason["kind"] for reason in json.loads(change["reasons"])] == ["llm", "bound"]
