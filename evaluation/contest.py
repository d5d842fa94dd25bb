"""Rankings of one held-out period side by side. Whatever is fitted is fitted on periods before it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from evaluation.asked import Answers
from evaluation.metrics import Flags, Floats, auc_difference, judge_ranking, reliability
from evaluation.periods import Period
from evaluation.rankings import Promise, Regression, Shape

BASELINE: Final = "baseline score"
FINAL: Final = "final score"
LLM: Final = "LLM alone"
REGRESSION: Final = "logistic regression"
CEILING: Final = "hidden traits known"
RANDOM: Final = "random order"


@dataclass(frozen=True)
class Ranking:
    """One score per account, and the probability that it promises."""

    scores: Floats
    probabilities: Floats

    def take(self, places: Any) -> "Ranking":
        """Of some of the accounts."""
        return Ranking(self.scores[places], self.probabilities[places])


@dataclass(frozen=True)
class Contest:
    """Everything about one outcome in the held-out period; `weights` as in `metrics`."""

    rankings: Mapping[str, Ranking]
    happened: Flags
    weights: Floats
    promise: Promise
    is_unwanted: bool

    def to_json(self) -> dict[str, Any]:
        """Accounts and outcomes as many as the population has, also of a sample."""
        figures: dict[str, Any] = {
            "accounts": round(float(self.weights.sum())),
            "with_outcome": round(float(self.weights[self.happened].sum())),
            "judged_accounts": len(self.happened),
            "rankings": {name: self._judge(ranking) for name, ranking in self.rankings.items()},
        }
        for name in (BASELINE, FINAL):
            if name in self.rankings and REGRESSION in self.rankings:
                figures[f"auc_of_{name.split()[0]}_less_regression"] = self._difference(name, REGRESSION)
        if FINAL in self.rankings:
            figures["auc_of_final_less_baseline"] = self._difference(FINAL, BASELINE)
        return figures

    def _judge(self, ranking: Ranking) -> dict[str, Any]:
        return {
            **judge_ranking(ranking.scores, self.happened, self.weights, ranking.probabilities),
            "reliability": reliability(ranking.probabilities, self.happened, self.weights),
        }

    def _difference(self, name: str, other: str) -> list[float]:
        pair = self.rankings[name].scores, self.rankings[other].scores
        return auc_difference(*pair, self.happened).to_json()

    def add_answers(self, places: Any, weights: Floats, answers: Answers) -> "Contest":
        """The accounts that a model was asked about, with its rankings. What its scores promise is what a baseline of
        that height did: the past has no answers."""
        own = {LLM: answers.llm_scores, FINAL: answers.final_scores}
        asked = {name: self._rank(scores) for name, scores in own.items()}
        rankings = {name: ranking.take(places) for name, ranking in self.rankings.items()}
        return Contest({**rankings, **asked}, self.happened[places], weights, self.promise, self.is_unwanted)

    def _rank(self, scores: Floats) -> Ranking:
        turned = 100 - scores if self.is_unwanted else scores
        return Ranking(turned, self.promise.predict(turned))


def hold(past: Period, later: Period, outcome: str, shapes: Mapping[str, Shape], *, is_unwanted: bool) -> Contest:
    """Baseline, regressions (by name and what they know) and a random order. `is_unwanted`: a low score should tell."""
    past, later = past.of(outcome), later.of(outcome)
    learned, happened = past.outcomes[outcome].happened, later.outcomes[outcome].happened
    before, now = (period.numbers("baseline_score") for period in (past, later))
    if is_unwanted:
        before, now = 100 - before, 100 - now
    promise = Promise(before, learned)
    rankings = {BASELINE: Ranking(now, promise.predict(now))}
    for name, shape in shapes.items():
        probabilities = Regression(shape, past.columns, learned).predict(later.columns)
        rankings[name] = Ranking(probabilities, probabilities)
    count = len(happened)
    base_rate = np.full(count, float(learned.mean()))
    rankings[RANDOM] = Ranking(np.random.default_rng(1).permutation(count).astype(np.float64), base_rate)
    return Contest(rankings, happened, np.ones(count), promise, is_unwanted)
