"""Does the score find the accounts that buy? Known outcomes, split by time: rules and regressions know the past alone,
and are judged on the window after it.

EVAL_ACCOUNTS, EVAL_VISITS and EVAL_SEED change the generated market; EVAL_ASKED is how many of its accounts the model
is asked about (0: none), half of them with the outcome, which weights put right.
"""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from evaluation.asked import Sample, ask, draw_sample
from evaluation.contest import BASELINE, CEILING, FINAL, LLM, REGRESSION, Contest, hold
from evaluation.marts import Marts
from evaluation.mock_market import MEANINGS, WINS, MarketSize, MockMarket
from evaluation.periods import WINDOW_DAYS, Period, join
from evaluation.plots import plot_reliability
from evaluation.rankings import ACCOUNT_SHAPE, TRAITS_SHAPE
from evaluation.ravenstack import CHURN, RAVENSTACK_FOLDER, RAVENSTACK_MEANINGS, RAVENSTACK_SHAPE, UPGRADE, RavenStack
from evaluation.results import RESULTS
from evaluation.small_model import model_settings
from evaluation.tables import render

__all__ = ["render", "run"]

_SHOWN_IN_PLOT: Final = (BASELINE, REGRESSION, LLM, FINAL)
_ASKED: Final = int(os.environ.get("EVAL_ASKED", "100"))


def run() -> dict[str, Any]:
    """The figures of both data sets; the plot is written beside them."""
    with tempfile.TemporaryDirectory(prefix="gtm-evaluation-") as folder:
        sets = {"mock": run_mock(Path(folder) / "mock", _size(), _ASKED)}
        if RAVENSTACK_FOLDER.is_dir():
            sets["ravenstack"] = run_ravenstack(Path(folder) / "ravenstack", _ASKED // 2)
        else:
            sets["ravenstack"] = {"skipped": f"{RAVENSTACK_FOLDER} is not there: third-party data, not shipped."}
    panels = {
        f"{name}: {outcome}": _lines(judged)
        for name, one in sets.items()
        for outcome, judged in one.get("outcomes", {}).items()
    }
    plot = plot_reliability(panels, RESULTS / "reliability.png")
    return {"data_sets": sets, "plot": plot.name}


def _lines(judged: Mapping[str, Any]) -> dict[str, Any]:
    """Of all accounts where there are all, else of those that the model was asked about."""
    rankings = {**judged.get("asked", judged)["rankings"], **judged["rankings"]}
    return {name: rankings[name]["reliability"] for name in _SHOWN_IN_PLOT if name in rankings}


def _size() -> MarketSize:
    chosen = {name: os.environ.get(f"EVAL_{name.upper()}") for name in ("accounts", "visits", "seed")}
    return MarketSize(**{name: int(text) for name, text in chosen.items() if text})


def run_mock(folder: Path, size: MarketSize, asked: int) -> dict[str, Any]:
    """The generated market; the model is asked about who wins."""
    market = MockMarket(size, folder)
    *past, later = market.read_periods()
    shapes = {REGRESSION: ACCOUNT_SHAPE, CEILING: TRAITS_SHAPE}
    contests = {name: hold(join(past), later, name, shapes, is_unwanted=False) for name in MEANINGS}
    outcomes = {name: {"meaning": MEANINGS[name], **contest.to_json()} for name, contest in contests.items()}
    if asked:
        outcomes[WINS]["asked"] = ask_about(contests[WINS], later.of(WINS), market.marts, asked)
    return {"size": vars(size), **_days(past, later), "outcomes": outcomes}


def run_ravenstack(folder: Path, asked: int) -> dict[str, Any]:
    """Subscriptions; the model is asked about upgrades, as a sales team would."""
    stack = RavenStack(folder)
    *past, later = stack.read_periods()
    contests = {
        name: hold(join(past), later, name, {REGRESSION: RAVENSTACK_SHAPE}, is_unwanted=name == CHURN)
        for name in RAVENSTACK_MEANINGS
    }
    outcomes = {name: {"meaning": RAVENSTACK_MEANINGS[name], **one.to_json()} for name, one in contests.items()}
    if asked:
        outcomes[UPGRADE]["asked"] = ask_about(contests[UPGRADE], later.of(UPGRADE), stack.marts, asked)
    return {**_days(past, later), "outcomes": outcomes}


def ask_about(contest: Contest, later: Period, marts: Marts, size: int) -> dict[str, Any]:
    """The same contest on a sample that the model has scored, on the marts as they were on that day."""
    sample: Sample = draw_sample(contest.happened, size)
    ids = [later.account_ids[place] for place in sample.places]
    with model_settings() as settings:
        answers = ask(marts.warehouse, settings, ids, "evaluation")
    return {**contest.add_answers(sample.places, sample.weights, answers).to_json(), "model": answers.to_json()}


def _days(past: list[Period], later: Period) -> dict[str, Any]:
    learned = [period.day.isoformat() for period in past]
    return {"learned_as_of": learned, "judged_as_of": later.day.isoformat(), "window_days": WINDOW_DAYS}
