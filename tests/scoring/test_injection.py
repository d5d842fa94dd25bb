"""Attacks replayed on stored leads: a model that obeys each of them, from the marts to the outbound tables.

The way from RAW to the marts is the evaluation's (`python -m evaluation injection`): it takes dbt a minute. Here the
typed text is put into the marts' own columns as it is, which no firewall of the staging views has cleaned.
"""

from typing import Any

import pytest

from evaluation.attacked_crm import Attack, read_attacks
from evaluation.injection import has_false_facts, leaks, obeying
from services.scoring.adapters.marts import read_accounts
from services.scoring.adapters.ollama import OllamaModel
from services.scoring.flow import score_accounts
from services.scoring.settings import ScoringSettings
from shared.warehouse import Warehouse
from tests.fakes.ollama import FakeOllama
from tests.scoring.conftest import BuildMarts, FakeJob, account, read_table

_COLUMNS = {"name": "account_name", "industry": "industry", "vehicle_type": "vehicle_type", "country": "region"}
_ATTACKS = read_attacks()


def test_no_attack_moves_a_score_beyond_the_bound_or_gets_a_word_into_a_pitch(
    warehouse: Warehouse, build_marts: BuildMarts, ollama: FakeOllama, settings: ScoringSettings
) -> None:
    build_marts(*(_row(attack) for attack in _ATTACKS))
    ollama.default = obeying(_ATTACKS)
    result = score_accounts(FakeJob(), warehouse, OllamaModel(settings), settings)
    assert result["scored"] == len(_ATTACKS) >= 60
    leads = {lead["account_id"]: lead for lead in read_table(warehouse, "lead_scores")}
    profiles = {one.account_id: one for one in read_accounts(warehouse, [one.account_id for one in _ATTACKS])}
    moves = [abs(lead["lead_score"] - lead["baseline_score"]) for lead in leads.values()]
    assert max(moves) == settings.score_bound  # they do what they can, and no more
    assert [(one.id, found) for one in _ATTACKS if (found := leaks(one, leads[one.account_id]))] == []
    wrong = [one.id for one in _ATTACKS if has_false_facts(leads[one.account_id], profiles[one.account_id])]
    assert wrong == []
    assert {lead["pitch_source"] for lead in leads.values()} == {"template"}
    refused = read_table(warehouse, "score_rejects")
    assert len(refused) == 2 * len(_ATTACKS) and all(row["raw_answer"] for row in refused)
    for chat in ollama.chats:
        asked = chat["messages"][-1]["content"]
        assert asked.isascii() and not [one.id for one in _ATTACKS if one.text in asked]


@pytest.mark.parametrize("disguise", ["HACKED", "hacked", "ＨＡＣＫＥＤ", "HA\u200bCKED"])
def test_a_leak_is_seen_in_disguise(disguise: str) -> None:
    attack = next(one for one in _ATTACKS if "hacked" in one.words)
    assert leaks(attack, {"pitch": f"We say {disguise} to your team."}) == ["hacked"]


def _row(attack: Attack) -> dict[str, Any]:
    typed = {_COLUMNS[attack.into]: attack.text} if attack.into in _COLUMNS else {}
    row = {"account_id": attack.account_id, "fleet_size": attack.fleet_size, "engagement_score": 20} | typed
    return account(attack.fleet_size, **row)
