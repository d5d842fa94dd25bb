"""Tiers by score and by capacity: settled over all leads after each scoring, without the model."""

import json
from datetime import datetime
from typing import Any

import pytest

from services.scoring.adapters.ollama import OllamaModel
from services.scoring.adapters.tiers import settle_tiers
from services.scoring.domain.tiers import TierRule, move_to_tier
from services.scoring.flow import rescore_account, score_accounts
from services.scoring.settings import ScoringSettings
from shared.warehouse import Warehouse
from tests.fakes.ollama import FakeOllama, answers
from tests.scoring.conftest import BuildMarts, FakeJob, account, read_table, to_settings

CAPACITY = {
    "GTM_TIER_BY": "capacity",
    "GTM_TIER_A_ACCOUNTS": 1,
    "GTM_TIER_B_ACCOUNTS": 2,
    "GTM_TIER_C_ACCOUNTS": 1,
}
FIVE = [account(number) for number in range(1, 6)]  # baselines 31 to 35


def score(warehouse: Warehouse, settings: ScoringSettings, job_id: str, **request: Any) -> dict[str, Any]:
    return score_accounts(FakeJob(job_id, request), warehouse, OllamaModel(settings), settings)


def tiers(warehouse: Warehouse) -> str:
    return "".join(str(lead["tier"]) for lead in read_table(warehouse, "lead_scores"))


def test_by_capacity_the_best_leads_fill_the_tiers_and_a_repeat_moves_none(
    warehouse: Warehouse, build_marts: BuildMarts, ollama: FakeOllama
) -> None:
    build_marts(*FIVE, account(6, engagement_score=5, open_opportunities=1))  # as good as the fifth: ids decide
    settings = to_settings(ollama.url, **CAPACITY)
    assert score(warehouse, settings, "job-1")["moved_tiers"] == 4
    assert tiers(warehouse) == "DDCBAB"
    first = read_table(warehouse, "lead_score_history")
    assert (first[4]["job_id"], first[4]["tier"], first[4]["changed"]) == ("job-1", "A", "{}")
    assert [reason["kind"] for reason in json.loads(first[4]["reasons"])] == ["first"], "it came from no tier"
    assert len(first) == 6, "one row of a job tells all that it did to a lead"
    before = [read_table(warehouse, name) for name in ("lead_scores", "lead_score_history")]
    again = score(warehouse, settings, "job-2")
    assert (again["moved_tiers"], again["llm_calls"]) == (0, 0)
    assert [read_table(warehouse, name) for name in ("lead_scores", "lead_score_history")] == before


def test_a_lead_that_rises_pushes_others_out_and_history_says_why(
    warehouse: Warehouse, build_marts: BuildMarts, ollama: FakeOllama
) -> None:
    settings = to_settings(ollama.url, **CAPACITY)
    build_marts(*FIVE)
    score(warehouse, settings, "job-1")
    assert tiers(warehouse) == "DCBBA"
    build_marts(account(1, engagement_score=40, dbt_updated_at=datetime(2026, 1, 2)), *FIVE[1:])
    job = FakeJob("job-2", {"account_id": "hubspot:1"})
    result = rescore_account(job, warehouse, OllamaModel(settings), settings)
    assert (result["llm_calls"], result["moved_tiers"], tiers(warehouse)) == (1, 4, "ADCBB")
    moved = {row["account_id"]: row for row in read_table(warehouse, "lead_score_history") if row["job_id"] == "job-2"}
    assert {name: row["tier"] for name, row in moved.items()} == {
        "hubspot:1": "A",
        "hubspot:2": "D",
        "hubspot:3": "C",
        "hubspot:5": "B",
    }
    assert json.loads(moved["hubspot:1"]["changed"])["lead_score"] == [35, 74]
    assert json.loads(moved["hubspot:5"]["changed"])["tier"] == ["A", "B"]
    assert [reason["kind"] for reason in json.loads(moved["hubspot:5"]["reasons"])] == ["tier"]
    assert read_table(warehouse, "lead_scores")[4]["job_id"] == "job-1", "nobody asked about it again"


def test_other_limits_move_leads_and_ask_nothing(
    warehouse: Warehouse, build_marts: BuildMarts, ollama: FakeOllama
) -> None:
    build_marts(*FIVE)
    ollama.default = answers(next_action="book_demo")
    by_score = to_settings(ollama.url)
    score(warehouse, by_score, "job-1")
    assert tiers(warehouse) == "CCCCC"
    lower = to_settings(ollama.url, GTM_TIER_A=36, GTM_TIER_B=35, GTM_TIER_C=34)
    dry = score(warehouse, lower, "dry", dry_run=True)
    assert {change["account_id"]: change["changed"].get("tier") for change in dry["would_change"]} == {
        "hubspot:1": ["C", "B"],
        "hubspot:2": ["C", "A"],
        "hubspot:3": ["C", "A"],
        "hubspot:4": ["C", "A"],
        "hubspot:5": ["C", "A"],
    }
    assert tiers(warehouse) == "CCCCC"
    asked = len(ollama.chats)
    result = score(warehouse, lower, "job-2")
    assert (result["moved_tiers"], result["unchanged"], len(ollama.chats)) == (5, 5, asked)
    assert tiers(warehouse) == "BAAAA"
    assert {lead["next_action"] for lead in read_table(warehouse, "lead_scores")} == {"book_demo"}, "as proposed"


def test_a_lead_that_is_no_prospect_any_more_takes_no_place(
    warehouse: Warehouse, build_marts: BuildMarts, ollama: FakeOllama
) -> None:
    settings = to_settings(ollama.url, **CAPACITY)
    build_marts(*FIVE)
    score(warehouse, settings, "job-1")
    build_marts(*FIVE[:4], account(5, is_active_prospect=False))
    result = score(warehouse, settings, "job-2")
    assert (result["deactivated"], tiers(warehouse)) == (1, "CBBAA")


def test_a_tier_that_holds_nobody_stays_empty() -> None:
    rule = TierRule("capacity", {"A": 0, "B": 2, "C": 0})
    assert rule.bounds == [("A", 0), ("B", 2), ("C", 2)]
    lead = {"tier": "C", "next_action": "nurture", "proposed_action": "call"}
    assert move_to_tier(lead, "A") == {"tier": "A", "next_action": "call", "proposed_action": "call"}
    assert move_to_tier(lead, "D")["next_action"] == "wait", "what the tier doesn't allow is not done"


def test_without_any_lead_there_is_nothing_to_settle(warehouse: Warehouse) -> None:
    rule = TierRule("score", {"A": 75, "B": 55, "C": 35})
    assert settle_tiers(warehouse, rule, "job-1", datetime(2026, 1, 1), before_commit=pytest.fail) == 0
