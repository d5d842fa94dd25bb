"""The same accounts, asked again and again: how far do the model's score, the final score and the pitch move?

A seed doesn't make an answer reproducible (ADR 0005): batches and caches change sums of floats. The product stores
answers and asks an unchanged account once; this asks on purpose. EVAL_STABLE_ACCOUNTS accounts, EVAL_REPEATS times.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any, Final

from evaluation.asked import Answers, ask
from evaluation.mock_market import MarketSize, MockMarket
from evaluation.small_model import model_settings

ACCOUNTS: Final = int(os.environ.get("EVAL_STABLE_ACCOUNTS", "8"))
REPEATS: Final = int(os.environ.get("EVAL_REPEATS", "5"))
_MARKET: Final = MarketSize(accounts=300, visits=4_000)


def run() -> dict[str, Any]:
    """Spreads over all accounts, and each account's values."""
    with tempfile.TemporaryDirectory(prefix="gtm-evaluation-") as folder, model_settings() as settings:
        market = MockMarket(_MARKET, Path(folder))
        market.marts.build(market.days[-1])
        ids = _spread(market, ACCOUNTS)
        rounds = [ask(market.marts.warehouse, settings, ids, f"round-{number}") for number in range(REPEATS)]
        return {**summarise(rounds), "bound": settings.score_bound, "temperature": settings.temperature}


def _spread(market: MockMarket, count: int) -> list[str]:
    """Active prospects from the best baseline to the worst, evenly."""
    found = market.marts.read(
        "select account_id from analytics.dim_accounts where is_active_prospect"
        " order by baseline_score desc, account_id"
    )["account_id"]
    return [found[place * (len(found) - 1) // max(count - 1, 1)] for place in range(count)]


def summarise(rounds: Sequence[Answers]) -> dict[str, Any]:
    """`spread` is the largest value less the smallest, of one account."""
    accounts = [_compare([answers.leads[place] for answers in rounds]) for place in range(len(rounds[0].leads))]

    def spread(name: str) -> dict[str, float]:
        spreads = [max(known) - min(known) for one in accounts if (known := _known(one[name]))]
        return {"mean": round(mean(spreads), 2), "largest": max(spreads)} if spreads else {}

    return {
        "model": rounds[0].leads[0]["model_name"],
        "accounts_asked": len(accounts),
        "repeats": len(rounds),
        "spread_of_llm_score": spread("llm_score"),
        "spread_of_final_score": spread("lead_score"),
        "accounts_with_one_tier": sum(len(set(one["tier"])) == 1 for one in accounts),
        "accounts_with_one_pitch_source": sum(len(set(one["pitch_source"])) == 1 for one in accounts),
        "accounts_with_one_pitch": sum(one["pitches"] == 1 for one in accounts),
        "template_pitches": sum(source == "template" for one in accounts for source in one["pitch_source"]),
        "answers": len(accounts) * len(rounds),
        "by_account": accounts,
    }


def _known(values: Sequence[int | None]) -> list[int]:
    return [value for value in values if value is not None]


def _compare(leads: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    columns = ("llm_score", "lead_score", "tier", "pitch_source")
    told: dict[str, Any] = {name: [lead[name] for lead in leads] for name in columns}
    return {
        "account_id": leads[0]["account_id"],
        "baseline_score": leads[0]["baseline_score"],
        **told,
        "pitches": len({lead["pitch"] for lead in leads}),
    }


def render(result: Mapping[str, Any]) -> Iterator[str]:
    """Figures, then a line per account."""
    for name, value in result.items():
        if name != "by_account":
            yield f"  {name.replace('_', ' ')}: {value}"
    for one in result["by_account"]:
        yield (
            f"  {one['account_id']}: baseline {one['baseline_score']}, LLM {one['llm_score']},"
            f" final {one['lead_score']}, tiers {''.join(one['tier'])}, {one['pitches']} pitches"
        )
