"""What a ranking is worth against outcomes that came later. Pure.

Every function takes one score, outcome and weight per account. A weight is how many accounts of the population one
stands for: 1, unless a sample has more of the rare outcome than the population. Equal scores are in no order: what
depends on their order is what a random one would give on average.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, rankdata
from sklearn.metrics import average_precision_score, brier_score_loss

Floats: TypeAlias = npt.NDArray[np.float64]
Flags: TypeAlias = npt.NDArray[np.bool_]

CAPACITY = 50  # accounts that a sales team takes up in a week; precision is told for so many
_CONFIDENCE = float(norm.ppf(0.975))


@dataclass(frozen=True)
class Auc:
    """Area under the ROC curve with its 95 % interval (DeLong)."""

    value: float
    low: float
    high: float

    def to_json(self) -> list[float]:
        return [round(number, 4) for number in (self.value, self.low, self.high)]


def roc_auc(scores: Floats, outcomes: Flags) -> Auc:
    """How often an account with the outcome is above one without. Weights that are equal within each outcome have no
    part in it.

    Raises:
        ValueError: only one kind of outcome.
    """
    return _interval(*_placements(scores, outcomes), low=0, high=1)


def auc_difference(scores: Floats, others: Floats, outcomes: Flags) -> Auc:
    """AUC of `scores` less that of `others` on the same accounts; their errors go together and partly cancel."""
    with_outcome, without = _placements(scores, outcomes)
    with_others, without_others = _placements(others, outcomes)
    return _interval(with_outcome - with_others, without - without_others, low=-1, high=1)


def _placements(scores: Floats, outcomes: Flags) -> tuple[Floats, Floats]:
    """For each account with the outcome the share of the others below it; for each of the others, of those above."""
    positives, negatives = scores[outcomes], scores[~outcomes]
    if not len(positives) or not len(negatives):
        raise ValueError("ROC AUC needs accounts with the outcome and without")
    ranks = rankdata(scores)
    below = (ranks[outcomes] - rankdata(positives)) / len(negatives)
    above = 1 - (ranks[~outcomes] - rankdata(negatives)) / len(positives)
    return below, above


def _interval(first: Floats, second: Floats, *, low: float, high: float) -> Auc:
    variance = sum(float(np.var(part, ddof=1)) / len(part) if len(part) > 1 else 0.0 for part in (first, second))
    value, width = float(first.mean()), _CONFIDENCE * variance**0.5
    return Auc(value, max(low, value - width), min(high, value + width))


def top_rate(scores: Floats, outcomes: Flags, weights: Floats, amount: float) -> float:
    """Share with the outcome among the best `amount` accounts; of the last group of equal scores a part is taken."""
    taken = reached = 0.0
    for score in np.unique(scores)[::-1]:
        tied = scores == score
        size = float(weights[tied].sum())
        part = min(1.0, (amount - taken) / size)
        taken += part * size
        reached += part * float(weights[tied & outcomes].sum())
        if part < 1:
            break
    return reached / taken


def judge_ranking(scores: Floats, outcomes: Flags, weights: Floats, probabilities: Floats) -> dict[str, Any]:
    """The figures of one ranking, JSON-able. `probabilities` are what the scores promise, in the same order."""
    base_rate = float(np.average(outcomes, weights=weights))
    decile = top_rate(scores, outcomes, weights, 0.1 * float(weights.sum()))
    return {
        "roc_auc": roc_auc(scores, outcomes).to_json(),
        "pr_auc": round(float(average_precision_score(outcomes, scores, sample_weight=weights)), 4),
        "lift_top_decile": round(decile / base_rate, 3),
        f"precision_at_{CAPACITY}": round(top_rate(scores, outcomes, weights, CAPACITY), 4),
        "brier": round(float(brier_score_loss(outcomes, probabilities, sample_weight=weights)), 5),
    }


def reliability(probabilities: Floats, outcomes: Flags, weights: Floats, bins: int = 10) -> list[dict[str, float]]:
    """What was promised and what came, for groups of about equal size; equal promises stay together."""
    values = np.unique(probabilities)
    sizes = np.array([float(weights[probabilities == value].sum()) for value in values])
    group = np.minimum((np.cumsum(sizes) - sizes / 2) / sizes.sum() * bins, bins - 1).astype(int)
    rows = []
    for number in np.unique(group):
        inside = np.isin(probabilities, values[group == number])
        rows.append(
            {
                "accounts": float(weights[inside].sum()),
                "promised": round(float(np.average(probabilities[inside], weights=weights[inside])), 5),
                "observed": round(float(np.average(outcomes[inside], weights=weights[inside])), 5),
            }
        )
    return rows
