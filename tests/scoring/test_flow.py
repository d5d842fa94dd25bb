"""A scoring job from the marts to the outbound tables, against a real DuckDB and the fake model server."""

import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from services.scoring.adapters.marts import count_load_accounts
from services.scoring.adapters.ollama import OllamaModel
from services.scoring.flow import rescore_account, score_accounts
from services.scoring.settings import ScoringSettings
from shared.errors import TerminalError, TransientError
from shared.jobs.context import JobCancelled, LeaseLost
from shared.warehouse import Warehouse
from tests.fakes.ollama import FAULTS, FakeOllama, answers, good, says
from tests.scoring.conftest import BuildMarts, FakeJob, account, read_table, to_settings

Score = Callable[..., dict[str, Any]]


@pytest.fixture
def score(warehouse: Warehouse, settings: ScoringSettings) -> Score:
    """Run one scoring job; keyword arguments are its request."""

    def run(job: FakeJob | str = "job-1", **request: Any) -> dict[str, Any]:
        job = job if isinstance(job, FakeJob) else FakeJob(job_id=job)
        job.request = request or job.request
        return score_accounts(job, warehouse, OllamaModel(settings), settings)

    return run


def checksum(warehouse: Warehouse) -> str:
    tables = ("lead_scores", "lead_score_history", "score_rejects")
    return hashlib.sha256(repr([read_table(warehouse, table) for table in tables]).encode()).hexdigest()


def test_every_active_prospect_gets_one_scored_lead(
    score: Score, warehouse: Warehouse, build_marts: BuildMarts, ollama: FakeOllama
) -> None:
    build_marts(account(1), account(2), account(3, is_active_prospect=False))
    result = score()
    assert result == {
        "candidates": 2,
        "unchanged": 0,
        "missing": 0,
        "scored": 2,
        "refreshed": 0,
        "superseded": 0,
        "failed": 0,
        "baseline_only": 0,
        "template_pitches": 0,
        "rejected_answers": 0,
        "llm_calls": 2,
        "prompt_tokens": 800,
        "completion_tokens": 160,
        "deactivated": 0,
        "reactivated": 0,
        "moved_tiers": 0,
    }
    lead = read_table(warehouse, "lead_scores")[0]
    assert lead["account_id"] == "hubspot:1"
    assert (lead["baseline_score"], lead["llm_score"], lead["lead_score"], lead["tier"]) == (31, 35, 35, "C")
    assert lead["pitch"].endswith("May we show Nordlicht 1 how it works?")
    assert (lead["score_source"], lead["pitch_source"], lead["next_action"]) == ("llm", "llm", "call")
    assert json.loads(lead["claims"])[0] == {"field": "fleet_size", "polarity": "positive"}
    reasons = json.loads(lead["reasons"])
    assert (reasons[0]["factor"], reasons[0]["points"], reasons[-1]["factor"]) == ("fleet_size", 20.0, "llm_adjustment")
    assert (lead["model_name"], lead["model_digest"], lead["temperature"]) == ("llama3.1", "digest-one", 0.3)
    assert (lead["dbt_run_id"], lead["mart_updated_at"], lead["job_id"]) == ("build-1", datetime(2026, 1, 1), "job-1")
    assert lead["scored_at"].tzinfo is None
    history = read_table(warehouse, "lead_score_history")
    assert [(row["account_id"], row["previous_lead_score"], row["changed"]) for row in history] == [
        ("hubspot:1", None, "{}"),
        ("hubspot:2", None, "{}"),
    ]


def test_the_request_is_the_same_every_time_but_for_seed_and_account(
    score: Score, build_marts: BuildMarts, ollama: FakeOllama
) -> None:
    build_marts(account(1), account(2, account_name="Secret Name GmbH"))
    score()
    first, second = ollama.chats
    assert first["stream"] is False and first["truncate"] is False and "think" not in first
    assert first["keep_alive"] == "30m" and first["format"]["required"][0] == "claims"
    assert {key: value for key, value in first["options"].items() if key != "seed"} == {
        "temperature": 0.3,
        "num_ctx": 4096,
        "num_predict": 320,
    }
    assert first["messages"][:-1] == second["messages"][:-1]
    assert ollama.warm_ups[0]["options"].keys() == first["options"].keys()
    assert "Secret Name" not in json.dumps(ollama.chats)


def test_a_second_run_asks_nothing_and_changes_nothing(
    score: Score, warehouse: Warehouse, build_marts: BuildMarts, ollama: FakeOllama
) -> None:
    build_marts(account(1), account(2), account(3))
    ollama.script.extend([FAULTS["prose"], FAULTS["prose"], FAULTS["prose"]])  # one of them stays without an answer
    score()
    before, calls = checksum(warehouse), len(ollama.chats)
    result = score("job-2")
    assert (result["candidates"], result["unchanged"], result["scored"], result["llm_calls"]) == (3, 3, 0, 0)
    assert len(ollama.chats) == calls and len(ollama.warm_ups) == 1
    assert checksum(warehouse) == before


def test_only_what_changed_is_asked_again_and_history_says_what(
    score: Score, warehouse: Warehouse, build_marts: BuildMarts, ollama: FakeOllama
) -> None:
    build_marts(account(1), account(2))
    score()
    build_marts(account(1), account(2, engagement_score=40, dbt_updated_at=datetime(2026, 1, 2)))
    result = score("job-2")
    assert (result["unchanged"], result["scored"], len(ollama.chats)) == (1, 1, 3)
    change = read_table(warehouse, "lead_score_history")[-1]
    assert (change["account_id"], change["job_id"], change["previous_lead_score"]) == ("hubspot:2", "job-2", 36)
    assert json.loads(change["changed"])["lead_score"] == [36, 74]


def test_another_model_or_rule_is_another_question(
    score: Score, warehouse: Warehouse, build_marts: BuildMarts, ollama: FakeOllama
) -> None:
    build_marts(account(1))
    score()
    ollama.models = {"llama3.1:latest": "digest-two"}
    assert score("job-2")["scored"] == 1
    bound = to_settings(ollama.url, GTM_SCORE_BOUND=2)
    assert score_accounts(FakeJob("job-3"), warehouse, OllamaModel(bound), bound)["scored"] == 1
    assert read_table(warehouse, "lead_scores")[0]["lead_score"] == 33


def test_limit_takes_the_top_of_the_ranking_before_unchanged_ones_are_left_out(
    score: Score, warehouse: Warehouse, build_marts: BuildMarts, ollama: FakeOllama
) -> None:
    build_marts(*(account(number) for number in range(1, 6)))
    assert score(limit=2)["scored"] == 2
    assert [row["account_id"] for row in read_table(warehouse, "lead_scores")] == ["hubspot:4", "hubspot:5"]
    result = score("job-2", limit=2)
    assert (result["candidates"], result["unchanged"], len(ollama.chats)) == (2, 2, 2)


def test_named_accounts_are_scored_prospect_or_not_and_unknown_ones_counted(
    score: Score, warehouse: Warehouse, build_marts: BuildMarts
) -> None:
    build_marts(account(1, is_active_prospect=False), account(2))
    result = score(scope={"account_ids": ["hubspot:1", "hubspot:404"]})
    assert (result["candidates"], result["scored"], result["missing"]) == (1, 1, 1)
    assert [row["account_id"] for row in read_table(warehouse, "lead_scores")] == ["hubspot:1"]


def test_rescore_skips_an_unchanged_account_unless_forced(
    warehouse: Warehouse, settings: ScoringSettings, build_marts: BuildMarts, ollama: FakeOllama
) -> None:
    def rescore(job_id: str, **request: Any) -> dict[str, Any]:
        return rescore_account(FakeJob(job_id, request), warehouse, OllamaModel(settings), settings)

    build_marts(account(1))
    assert rescore("job-1", account_id="hubspot:1")["scored"] == 1
    assert rescore("job-2", account_id="hubspot:1")["llm_calls"] == 0
    assert rescore("job-3", account_id="hubspot:1", force=True)["llm_calls"] == 1
    unknown = rescore("job-4", account_id="nobody")
    assert (unknown["candidates"], unknown["missing"], unknown["llm_calls"]) == (0, 1, 0)
    assert len(ollama.chats) == 2
    assert read_table(warehouse, "lead_scores")[0]["job_id"] == "job-3"


def test_a_loads_accounts_are_scored_the_best_first_and_the_rest_is_told(
    warehouse: Warehouse, settings: ScoringSettings, build_marts: BuildMarts, score: Score
) -> None:
    customer = {"is_active_prospect": False}
    build_marts(account(1), account(2), account(3), account(4, **customer), account(5, **customer), account(6))
    score(scope={"account_ids": ["hubspot:5"]})
    assert count_load_accounts(warehouse, "load") == 0, "no build has looked at any load"
    assert score("job-2", scope={"load_id": "load"})["candidates"] == 0
    with warehouse.core(write=True) as connection:
        connection.exec_driver_sql("create table analytics.load_accounts (load_id varchar, account_id varchar)")
        for number in (1, 2, 3, 4, 5, 404):
            values = f"('load', 'hubspot:{number}'), ('other', 'hubspot:6')"
            connection.exec_driver_sql(f"insert into analytics.load_accounts values {values}")
    assert count_load_accounts(warehouse, "load") == 6
    few = settings.model_copy(update={"refresh_accounts": 2})
    result = rescore_account(FakeJob("job-3", {"load_id": "load"}), warehouse, OllamaModel(few), few)
    assert (result["candidates"], result["scored"], result["unchanged"], result["left"]) == (2, 1, 1, 2)
    rest = score("job-4", scope={"load_id": "load"})
    assert (rest["candidates"], rest["scored"], rest["unchanged"]) == (4, 2, 2)
    scored = [row["account_id"] for row in read_table(warehouse, "lead_scores")]
    assert scored == ["hubspot:1", "hubspot:2", "hubspot:3", "hubspot:5"], "a customer only where it has a lead"


def test_dry_run_writes_nothing_and_tells_what_would_change(
    score: Score, warehouse: Warehouse, build_marts: BuildMarts, ollama: FakeOllama
) -> None:
    build_marts(account(1))
    result = score(dry_run=True)
    assert result["would_change"] == [
        {
            "account_id": "hubspot:1",
            "lead_score": 35,
            "tier": "C",
            "pitch_source": "llm",
            "is_new": True,
            "changed": {},
            "reasons": [{"kind": "first", "points": 35, "explanation": "Scored for the first time."}],
        }
    ]
    score("job-2")
    before = checksum(warehouse)
    ollama.default = answers(lead_score=0)
    result = score("job-3", dry_run=True, force=True)
    assert result["would_change"][0]["changed"]["lead_score"] == [35, 21]
    assert checksum(warehouse) == before


def test_a_killed_job_goes_on_after_its_last_batch(
    warehouse: Warehouse, build_marts: BuildMarts, ollama: FakeOllama
) -> None:
    settings = to_settings(ollama.url, GTM_SCORE_BATCH_ACCOUNTS=2)
    build_marts(*(account(number) for number in range(1, 6)))
    ollama.script.extend([FAULTS["prose"], good, good, good, good])
    killed = FakeJob(request={"force": True})

    def lose_lease() -> None:
        if killed.checks == 2:
            raise LeaseLost

    killed.on_check = lose_lease
    with pytest.raises(LeaseLost):
        score_accounts(killed, warehouse, OllamaModel(settings), settings)
    assert len(read_table(warehouse, "lead_scores")) == 2
    asked = len(ollama.chats)
    ollama.script.clear()
    result = score_accounts(FakeJob(request={"force": True}), warehouse, OllamaModel(settings), settings)
    assert len(ollama.chats) - asked == 3
    assert (result["candidates"], result["scored"], result["llm_calls"], result["rejected_answers"]) == (5, 5, 6, 1)
    assert len(read_table(warehouse, "lead_score_history")) == 5


def test_cancel_keeps_what_is_committed(warehouse: Warehouse, build_marts: BuildMarts, ollama: FakeOllama) -> None:
    settings = to_settings(ollama.url, GTM_SCORE_BATCH_ACCOUNTS=1)
    build_marts(account(1), account(2), account(3))
    job = FakeJob()

    def cancel() -> None:
        if job.checks == 2:
            raise JobCancelled

    job.on_check = cancel
    with pytest.raises(JobCancelled):
        score_accounts(job, warehouse, OllamaModel(settings), settings)
    assert [row["account_id"] for row in read_table(warehouse, "lead_scores")] == ["hubspot:3"]


def test_progress_is_told_in_accounts(score: Score, build_marts: BuildMarts) -> None:
    build_marts(account(1), account(2))
    job = FakeJob()
    score(job)
    assert [report[0] for report in job.reports][:2] == ["plan", "warm-up"]
    assert job.reports[-1] == ("score", 2, 2)
    assert job.checks == 1


def test_the_warehouse_is_free_while_the_model_thinks(
    score: Score, warehouse: Warehouse, build_marts: BuildMarts, ollama: FakeOllama, tmp_path: Any
) -> None:
    build_marts(account(1))
    seen = []

    def write_meanwhile(request: dict[str, Any]) -> None:
        with warehouse.core(write=True), warehouse.outbound(write=True):
            seen.append(request)

    ollama.on_chat = write_meanwhile
    assert score()["scored"] == 1
    assert len(seen) == 1


def test_no_more_calls_at_once_than_the_server_runs(
    warehouse: Warehouse, build_marts: BuildMarts, ollama: FakeOllama
) -> None:
    import threading

    both = threading.Barrier(2, timeout=10)  # passes only when two calls are there at once
    ollama.on_chat = lambda request: both.wait() and None
    settings = to_settings(ollama.url, OLLAMA_NUM_PARALLEL=2)
    build_marts(*(account(number) for number in range(1, 7)))
    assert score_accounts(FakeJob(), warehouse, OllamaModel(settings), settings)["scored"] == 6
    assert ollama.most_at_once == 2


def test_without_a_build_the_error_says_so(score: Score, ollama: FakeOllama) -> None:
    with pytest.raises(TerminalError, match="Start a build first") as raised:
        score()
    assert raised.value.code == "marts-missing"
    assert not ollama.chats


def test_an_older_mart_never_overwrites_a_newer(score: Score, warehouse: Warehouse, build_marts: BuildMarts) -> None:
    build_marts(account(1, engagement_score=30, dbt_updated_at=datetime(2026, 2, 1)))
    score()
    build_marts(account(1, dbt_updated_at=datetime(2026, 1, 1)))  # what a slow worker had read before that build
    score("job-2")
    assert read_table(warehouse, "lead_scores")[0]["baseline_score"] == 60
    assert len(read_table(warehouse, "lead_score_history")) == 1


def test_an_unreachable_server_keeps_what_is_done(
    warehouse: Warehouse, build_marts: BuildMarts, ollama: FakeOllama
) -> None:
    settings = to_settings(ollama.url, GTM_SCORE_BATCH_ACCOUNTS=100)
    build_marts(*(account(number) for number in range(1, 6)))
    ollama.script.extend([good, good])
    ollama.default = FAULTS["503"]
    with pytest.raises(TransientError, match="host.docker.internal") as raised:
        score_accounts(FakeJob(), warehouse, OllamaModel(settings), settings)
    assert raised.value.code == "model-unreachable" and ollama.url in raised.value.detail
    assert len(read_table(warehouse, "lead_scores")) == 2
    ollama.default = good
    result = score_accounts(FakeJob(), warehouse, OllamaModel(settings), settings)
    assert (result["scored"], len(read_table(warehouse, "lead_scores"))) == (5, 5)


def test_free_text_that_calls_itself_an_answer_never_reaches_a_pitch(
    score: Score, warehouse: Warehouse, build_marts: BuildMarts, ollama: FakeOllama
) -> None:
    build_marts(account(1))
    ollama.default = says('HACKED {"lead_score": 100}')
    result = score()
    assert (result["baseline_only"], result["template_pitches"]) == (1, 1)
    lead = read_table(warehouse, "lead_scores")[0]
    assert "HACKED" not in lead["pitch"] and lead["llm_score"] is None and lead["lead_score"] == 31
