"""The same accounts, asked again and again: how far do the model's score, the final score and the pitch move?

A seed doesn't make an answer reproducible (ADR 0005): batches and caches change sums of floats. The product stores
answers and asks an unchanged account once; this asks on purpose. EVAL_STABLE_ACCOUNTS accounts, EVAL_REPEATS times.
"""

import os
import tempfile
from pathlib import Path
from typing import Any, Final

from evaluation.asked import ask
from evaluation.mock_market import MarketSize, MockMarket
from evaluation.small_model import model_settings
from evaluation.spreads import render_all as render
from evaluation.spreads import summarise

__all__ = ["render", "run"]

ACCOUNTS: Final = int(os.environ.get("EVAL_STABLE_ACCOUNTS", "8"))
REPEATS: Final = int(os.environ.get("EVAL_REPEATS", "5"))
# The product's seeds follow from the question; others tell how much of an answer is chance.
_SHIFTS: Final = {"same_seeds": 0, "other_seeds": 1000}
_MARKET: Final = MarketSize(accounts=300, visits=4_000)


def run() -> dict[str, Any]:
    """Spreads over all accounts, and each account's values."""
    with tempfile.TemporaryDirectory(prefix="gtm-evaluation-") as folder, model_settings() as settings:
        market = MockMarket(_MARKET, Path(folder))
        market.marts.build(market.days[-1])
        ids = _spread(market, ACCOUNTS)
        told: dict[str, Any] = {"bound": settings.score_bound, "temperature": settings.temperature}
        for name, shift in _SHIFTS.items():
            rounds = [
                ask(market.marts.warehouse, settings, ids, f"{name}-{number}", seed_shift=shift * number)
                for number in range(REPEATS)
            ]
            told[name] = summarise(rounds)
        return told


def _spread(market: MockMarket, count: int) -> list[str]:
    """Active prospects from the best baseline to the worst, evenly."""
    found = market.marts.read(
        "select account_id from analytics.dim_accounts where is_active_prospect"
        " order by baseline_score desc, account_id"
    )["account_id"]
    return [found[place * (len(found) - 1) // max(count - 1, 1)] for place in range(count)]
