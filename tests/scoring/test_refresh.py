"""An account with other facts under the same question: its lead is brought up to date, and nobody asks the model."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from services.scoring.adapters import refreshes
from services.scoring.adapters.ollama import OllamaModel
from services.scoring.flow import rescore_account, score_accounts
from services.scoring.settings import ScoringSettings
from shared.errors import TerminalError
from shared.jobs.context import LeaseLost
from shared.warehouse import Warehouse
from tests.fakes.ollama import FAULTS, FakeOllama, answers
from tests.scoring.conftest import BuildMarts, FakeJob, account, read_table, to_settings

Score = Callable[..., dict[str, Any]]
OWN = answers(lead_score=50, pitch="{account_name} runs {fleet_size} in {region}.")


def fleet(number: int, vehicles: int, *, day: int = 1, **changes: Any) -> dict[str, Any]:
    """110 and 240 vehicles are one bucket of the mart's profile_hash (`int_accounts_scored.sql`), which has no name."""
    moment = datetime(2026, 1, day)
    return account(
        number,
        fleet_size=vehicles,
        **{"profile_hash": f"question {number}", "dbt_updated_at": moment, "dbt_run_id": f"build-{day}", **changes},
    )


@pytest.fixture
def score(warehouse: Warehouse, settings: ScoringSettings, ollama: FakeOllama) -> Score:
    """Run one scoring job; keyword arguments are its request."""
    ollama.default = OWN

    def run(job: FakeJob | str, **request: Any) -> dict[str, Any]:
        job = job if isinstance(job, FakeJob) else FakeJob(job)
        job.request = request
        return score_accounts(job, warehouse, OllamaModel(settings), settings)

    return run


def the_lead(warehouse: Warehouse) -> dict[str, Any]:
    (lead,) = read_table(warehouse, "lead_scores")
    return lead


def test_a_rename_and_a_grown_fleet_reach_the_stored_pitch_without_a_question(
    score: Score, warehouse: Warehouse, build_marts: BuildMarts, ollama: FakeOllama
) -> None:
    build_marts(fleet(1, 110))
    score("job-1")
    before = the_lead(warehouse)
    assert before["pitch"] == "Nordlicht 1 runs 110 vehicles in Europe."
    build_marts(fleet(1, 240, day=2, account_name="Suedlicht SE", domain="suedlicht.example"))
    result = score("job-2")
    assert (result["candidates"], result["unchanged"], result["refreshed"], result["scored"]) == (1, 0, 1, 0)
    assert len(ollama.chats) == len(ollama.warm_ups) == 1
    lead = the_lead(warehouse)
    assert lead["pitch"] == "Suedlicht SE runs 240 vehicles in Europe."
    assert (lead["account_name"], lead["domain"]) == ("Suedlicht SE", "suedlicht.example")
    assert {item["factor"]: item["value"] for item in json.loads(lead["factors"])}["fleet_size"] == "240"
    assert "fleet_size is 240" in lead["reasons"]
    assert (lead["dbt_run_id"], lead["mart_updated_at"]) == ("build-2", datetime(2026, 1, 2))
    kept = ("job_id", "scored_at", "llm_answer", "llm_score", "input_key", "lead_score", "attempts", "pitch_template")
    assert {name: lead[name] for name in kept} == {name: before[name] for name in kept}
    assert (before["refresh_job_id"], lead["refresh_job_id"]) == (None, "job-2") and lead["refreshed_at"]
    told = {row["job_id"]: row for row in read_table(warehouse, "lead_score_history")}
    changed = json.loads(told["job-2"]["changed"])
    assert changed == {"account_name": ["Nordlicht 1", "Suedlicht SE"], "pitch": [before["pitch"], lead["pitch"]]}
    reasons = [(one["kind"], one["before"], one["after"]) for one in json.loads(told["job-2"]["reasons"])]
    assert reasons == [("factor", "110", "240"), ("name", "Nordlicht 1", "Suedlicht SE")]
    stored = [read_table(warehouse, name) for name in ("lead_scores", "lead_score_history")]
    assert (score("job-3")["unchanged"], len(ollama.chats)) == (1, 1)
    assert [read_table(warehouse, name) for name in ("lead_scores", "lead_score_history")] == stored


def test_a_webhooks_rescore_applies_a_rename(
    score: Score, warehouse: Warehouse, settings: ScoringSettings, build_marts: BuildMarts
) -> None:
    build_marts(fleet(1, 110))
    score("job-1")
    build_marts(fleet(1, 110, day=2, account_name="Suedlicht SE"))
    job = FakeJob("job-2", {"account_id": "hubspot:1"})
    assert rescore_account(job, warehouse, OllamaModel(settings), settings)["refreshed"] == 1
    assert the_lead(warehouse)["account_name"] == "Suedlicht SE"


def test_a_pitch_that_the_new_facts_do_not_bear_out_gives_way_until_they_do(
    score: Score, warehouse: Warehouse, build_marts: BuildMarts, ollama: FakeOllama
) -> None:
    build_marts(fleet(1, 110))
    score("job-1")
    build_marts(fleet(1, 110, day=2, region=None))
    score("job-2")
    lead = the_lead(warehouse)
    assert lead["pitch_source"] == "template" and lead["pitch"].startswith("Hello Nordlicht 1 team,")
    build_marts(fleet(1, 120, day=3))
    score("job-3")
    lead = the_lead(warehouse)
    assert (lead["pitch_source"], lead["pitch"]) == ("llm", "Nordlicht 1 runs 120 vehicles in Europe.")
    assert len(ollama.chats) == 1


def test_a_template_pitch_and_a_baseline_alone_are_refreshed_as_what_they_are(
    score: Score, warehouse: Warehouse, build_marts: BuildMarts, ollama: FakeOllama
) -> None:
    ollama.default = FAULTS["prose"]
    build_marts(fleet(1, 110))
    score("job-1")
    build_marts(fleet(1, 240, day=2, engagement_score=3))
    score("job-2")
    lead = the_lead(warehouse)
    assert "keeping 240 vehicles on the road" in lead["pitch"] and lead["pitch_template"] is None
    assert (lead["score_source"], lead["lead_score"], lead["baseline_score"]) == ("baseline", 33, 33)


def test_an_earlier_releases_lead_takes_its_pitch_from_the_answer_that_is_kept(
    score: Score, warehouse: Warehouse, build_marts: BuildMarts, ollama: FakeOllama
) -> None:
    build_marts(fleet(1, 110), fleet(2, 110))
    score("job-1")
    with warehouse.outbound(write=True) as connection:
        for column in ("facts_hash", "pitch_template", "refresh_job_id", "refreshed_at"):
            connection.execute(sa.text(f"alter table reverse_etl_outbound.lead_scores drop column {column}"))
        cut = "update reverse_etl_outbound.lead_scores set llm_answer = substr(llm_answer, 1, 20)"
        connection.execute(sa.text(f"{cut} where account_id = 'hubspot:2'"))
    assert score("job-2", dry_run=True)["refreshed"] == 2
    assert score("job-3")["refreshed"] == 2
    first, second = read_table(warehouse, "lead_scores")
    assert (first["pitch_source"], first["pitch"]) == ("llm", "Nordlicht 1 runs 110 vehicles in Europe.")
    assert second["pitch_source"] == "template", "the answer's end was cut off"
    assert len(ollama.chats) == 2 and score("job-4")["unchanged"] == 2


def test_what_no_rep_would_notice_leaves_no_history_and_a_dry_run_writes_nothing(
    score: Score, warehouse: Warehouse, build_marts: BuildMarts
) -> None:
    build_marts(fleet(1, 110))
    score("job-1")
    build_marts(fleet(1, 110, day=2, domain="other.example"))
    before = the_lead(warehouse)
    result = score("job-2", dry_run=True)
    assert (result["refreshed"], result["would_change"]) == (1, [])
    assert the_lead(warehouse) == before
    score("job-3")
    assert the_lead(warehouse)["domain"] == "other.example"
    assert [row["job_id"] for row in read_table(warehouse, "lead_score_history")] == ["job-1"]
    build_marts(fleet(1, 240, day=3, domain="other.example"))
    (shown,) = score("job-4", dry_run=True)["would_change"]
    assert shown["changed"] == {"pitch": [before["pitch"], "Nordlicht 1 runs 240 vehicles in Europe."]}


def test_a_refresh_that_dies_at_any_page_goes_on_there_and_adds_up(
    warehouse: Warehouse, build_marts: BuildMarts, score: Score, ollama: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refreshes, "PAGE_ACCOUNTS", 2)
    build_marts(*(fleet(number, 110) for number in range(1, 6)))
    score("job-1")
    newer = [fleet(number, 240, day=2) for number in range(1, 6)]
    build_marts(*newer, fleet(6, 110))
    job = FakeJob("job-2")

    def lose_lease() -> None:
        if job.checks == 2:
            raise LeaseLost

    job.on_check = lose_lease
    with pytest.raises(LeaseLost):
        score(job)
    assert sum("240" in row["pitch"] for row in read_table(warehouse, "lead_scores")) == 2
    result = score("job-2")
    assert (result["candidates"], result["refreshed"], result["scored"], result["unchanged"]) == (6, 5, 1, 0)
    assert len(read_table(warehouse, "lead_score_history")) == 11 and len(ollama.chats) == 6
    assert score("job-3")["unchanged"] == 6


def test_an_older_mart_never_refreshes_a_newer_lead(
    score: Score, warehouse: Warehouse, build_marts: BuildMarts
) -> None:
    build_marts(fleet(1, 240, day=2))
    score("job-1")
    build_marts(fleet(1, 110, day=1))
    result = score("job-2")
    assert (result["unchanged"], result["refreshed"]) == (1, 0)
    assert "240" in the_lead(warehouse)["pitch"]


def test_a_lead_that_was_scored_while_it_was_refreshed_stays_as_scored(
    score: Score, warehouse: Warehouse, build_marts: BuildMarts, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_marts(fleet(1, 110))
    score("job-1")
    build_marts(fleet(1, 240, day=2))
    original = refreshes.refresh_lead

    def be_overtaken(*facts: Any) -> dict[str, Any]:
        monkeypatch.setattr(refreshes, "refresh_lead", original)
        score("job-2", force=True)
        return original(*facts)

    monkeypatch.setattr(refreshes, "refresh_lead", be_overtaken)
    from_thread = score("job-3")
    assert (from_thread["unchanged"], from_thread["refreshed"]) == (1, 0)
    lead = the_lead(warehouse)
    assert (lead["job_id"], lead["refresh_job_id"]) == ("job-2", None)


def test_a_defect_on_one_account_costs_no_other_its_refresh(
    score: Score, warehouse: Warehouse, build_marts: BuildMarts, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_marts(fleet(1, 110), fleet(2, 110))
    score("job-1")
    build_marts(fleet(1, 240, day=2), fleet(2, 240, day=2))
    original = refreshes.refresh_lead

    def fail_on_one(stored: dict[str, Any], *facts: Any) -> dict[str, Any]:
        if stored["account_id"] == "hubspot:2":
            raise ZeroDivisionError
        return original(stored, *facts)

    monkeypatch.setattr(refreshes, "refresh_lead", fail_on_one)
    result = score("job-2")
    assert (result["candidates"], result["refreshed"], result["failed"]) == (2, 1, 1)
    assert ["240" in row["pitch"] for row in read_table(warehouse, "lead_scores")] == [True, False]


def test_tiers_by_capacity_are_settled_after_a_refresh_in_the_same_row_of_history(
    warehouse: Warehouse, build_marts: BuildMarts, ollama: FakeOllama
) -> None:
    settings = to_settings(ollama.url, GTM_TIER_BY="capacity", GTM_TIER_A_ACCOUNTS=1)
    build_marts(fleet(1, 110, engagement_score=10), fleet(2, 110, engagement_score=12))
    ollama.default = FAULTS["prose"]
    score_accounts(FakeJob("job-1"), warehouse, OllamaModel(settings), settings)
    build_marts(fleet(1, 110, day=2, engagement_score=13), fleet(2, 110, engagement_score=12))
    result = score_accounts(FakeJob("job-2"), warehouse, OllamaModel(settings), settings)
    assert (result["refreshed"], result["moved_tiers"]) == (1, 2)
    first, second = (row for row in read_table(warehouse, "lead_score_history") if row["job_id"] == "job-2")
    assert {"baseline_score", "lead_score", "tier"} <= json.loads(first["changed"]).keys()
    assert json.loads(second["changed"])["tier"] == ["A", "B"]


def test_marts_of_an_earlier_release_ask_for_a_build(
    score: Score, warehouse: Warehouse, build_marts: BuildMarts
) -> None:
    build_marts(account(1))
    with warehouse.core(write=True) as connection:
        connection.execute(sa.text("alter table analytics.dim_accounts drop column facts_hash"))
    with pytest.raises(TerminalError, match="Start a build first") as raised:
        score("job-1")
    assert raised.value.code == "marts-missing"
