"""What the score is compared with: a logistic regression on the past, and the probabilities that a score promises."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from evaluation.metrics import Flags, Floats

Columns = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Shape:
    """Columns by what they hold: words become one column each, amounts their logarithm, days a decay; numbers stay."""

    words: tuple[str, ...] = ()
    amounts: tuple[str, ...] = ()
    days: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()


# All that the marts know of an account as of the day and that isn't known only because of the outcome: which CRM has
# the record, and its lifecycle stage, are (docs/mock-source.md, "What is known when").
ACCOUNT_SHAPE: Final = Shape(
    words=("industry", "region", "vehicle_type"),
    amounts=(
        "employees",
        "fleet_size",
        "annual_revenue_usd",
        "contacts",
        "engaged_contacts_90d",
        "visits_30d",
        "visits_90d",
        "high_intent_visits_90d",
        "open_opportunities",
        "open_pipeline_usd",
        "won_opportunities",
        "lost_opportunities",
        "won_arr_usd",
    ),
    days=("days_since_last_visit",),
)
# What nobody knows in a real market: how well one could do at most who also sees what is open.
TRAITS_SHAPE: Final = Shape(
    amounts=("open_opportunities", "won_opportunities"), numbers=("hidden_fit", "hidden_intent")
)
_HALF_LIFE_DAYS: Final = 21.0


class Regression:
    """Logistic regression, fitted once. It has every column at hand and the outcomes of the past to learn from."""

    def __init__(self, shape: Shape, past: Columns, outcomes: Flags) -> None:
        self._shape = shape
        self._words = {name: sorted({str(value) for value in past[name]}) for name in shape.words}
        self._model: Pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000))
        self._model.fit(self._matrix(past), outcomes)

    def predict(self, columns: Columns) -> Floats:
        """Probability of the outcome."""
        probabilities: Floats = self._model.predict_proba(self._matrix(columns))[:, 1]
        return probabilities

    def _matrix(self, columns: Columns) -> Floats:
        parts: list[Floats] = []
        for name, words in self._words.items():
            values = np.array([str(value) for value in columns[name]])
            parts += [(values == word).astype(np.float64) for word in words]
        for name in self._shape.amounts:
            amounts = _numbers(columns[name])
            parts += [np.isnan(amounts).astype(np.float64), np.log1p(np.nan_to_num(amounts))]
            parts.append((amounts > 0).astype(np.float64))
        for name in self._shape.days:
            days = _numbers(columns[name])
            parts += [np.where(np.isnan(days), 0.0, 0.5 ** (np.nan_to_num(days) / _HALF_LIFE_DAYS))]
        parts += [_numbers(columns[name]) for name in self._shape.numbers]
        return np.column_stack(parts)


def _numbers(values: Sequence[Any]) -> Floats:
    return np.array([np.nan if value is None else float(value) for value in values], dtype=np.float64)


class Promise:
    """The probability that a score stands for, as it was in the past (Platt): the order of scores stays."""

    def __init__(self, past_scores: Floats, outcomes: Flags) -> None:
        self._model = LogisticRegression(C=1e6, max_iter=1000)
        self._model.fit(past_scores.reshape(-1, 1) / 100, outcomes)

    def predict(self, scores: Floats) -> Floats:
        """Probability of the outcome."""
        probabilities: Floats = self._model.predict_proba(scores.reshape(-1, 1) / 100)[:, 1]
        return probabilities
