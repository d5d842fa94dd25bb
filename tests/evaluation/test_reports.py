"""What `make eval` prints and writes of its figures."""

import json
from typing import Any

import pytest

from evaluation import results
from evaluation.__main__ import NAMES, main
from evaluation.asked import Answers
from evaluation.spreads import render_all, summarise
from evaluation.tables import render as render_tables


def _answers(*scores: tuple[int | None, int, str]) -> Answers:
    leads = [
        {
            "account_id": f"a{number}",
            "model_name": "m",
            "baseline_score": 50,
            "llm_score": llm,
            "lead_score": final,
            "tier": "A" if final >= 55 else "B",
            "pitch_source": source,
            "pitch": f"{source} pitch",
        }
        for number, (llm, final, source) in enumerate(scores)
    ]
    return Answers(leads, 1.0)


def test_spreads_are_the_largest_less_the_smallest_of_each_account() -> None:
    rounds = [
        _answers((40, 45, "llm"), (None, 50, "template")),
        _answers((90, 60, "llm"), (None, 50, "template")),
        _answers((60, 60, "template"), (70, 60, "template")),
    ]
    told = summarise(rounds)
    assert told["spread_of_llm_score"] == {
        "mean": 25,
        "largest": 50,
    }, "of one account 50, of the one answer of the other 0"
    assert told["spread_of_final_score"] == {"mean": 12.5, "largest": 15}
    assert (told["accounts_with_one_tier"], told["accounts_with_one_pitch_source"]) == (0, 1)
    assert (told["accounts_with_one_pitch"], told["template_pitches"], told["answers"]) == (1, 4, 6)
    shown = "\n".join(render_all({"bound": 10, "same_seeds": told}))
    assert shown.startswith("bound: 10\nsame seeds:\n")
    assert "a0: baseline 50, LLM [40, 90, 60], final [45, 60, 60], tiers BAA, 2 pitches" in shown


def _judged(gap: float) -> dict[str, Any]:
    figures = {
        "roc_auc": [0.8, 0.7, 0.9],
        "pr_auc": 0.4,
        "lift_top_decile": 4.5,
        "precision_at_50": 0.88,
        "brier": 0.06,
    }
    return {
        "meaning": "somebody buys",
        "accounts": 8057,
        "with_outcome": 809,
        "judged_accounts": 8057,
        "rankings": {"baseline score": figures},
        "auc_of_baseline_less_regression": [gap, gap - 0.01, gap + 0.01],
    }


@pytest.mark.parametrize(("gap", "verdict"), [(-0.03, "within the bar"), (-0.031, "below the bar"), (0.01, "within")])
def test_tables_say_whether_the_baseline_keeps_up_with_a_regression(gap: float, verdict: str) -> None:
    days = {"learned_as_of": ["2025-06-03"], "judged_as_of": "2025-11-30", "window_days": 90}
    sets = {"mock": {**days, "outcomes": {"wins": _judged(gap)}}, "other": {"skipped": "not there"}}
    lines = list(render_tables({"data_sets": sets, "plot": "reliability.png"}))
    assert any("0.800 (0.700..0.900)" in line and "4.50" in line for line in lines)
    assert any(f"baseline less regression: {gap:+.3f}" in line and verdict in line for line in lines)
    assert "other: skipped: not there" in lines


def test_results_say_when_and_where(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")
    path = results.write_result("spread", {"answers": 6})
    told = json.loads(path.read_text())
    assert (path.name, told["name"], told["answers"]) == ("spread.json", "spread", 6) and told["at"].endswith("+00:00")


def test_an_unknown_name_is_refused_before_anything_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["guardrails", "nope"]) == 2
    assert f"There is no nope. Known: {', '.join(NAMES)}." in capsys.readouterr().err
