"""A day, what was known at its end, and what came afterwards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import numpy as np

from evaluation.metrics import Flags, Floats
from evaluation.rankings import Columns

WINDOW_DAYS = 90


def days_before(horizon: date, windows: int) -> list[date]:
    """The last days before windows that follow each other and end at `horizon` (exclusive), oldest first."""
    return [horizon - timedelta(days=1 + WINDOW_DAYS * number) for number in range(windows, 0, -1)]


@dataclass(frozen=True)
class Outcome:
    """Something that happens to some of the accounts in question within the window after the day."""

    is_asked: Flags
    """Accounts of which it is asked at all."""
    happened: Flags


@dataclass(frozen=True)
class Period:
    """One row per account in every column. `outcomes` by name."""

    day: date
    columns: Columns
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)

    @property
    def account_ids(self) -> list[str]:
        return list(self.columns["account_id"])

    def numbers(self, name: str) -> Floats:
        """A column without nulls."""
        return np.array(self.columns[name], dtype=np.float64)

    def of(self, outcome: str) -> "Period":
        """The accounts in question alone."""
        asked = self.outcomes[outcome].is_asked
        return self.take(np.flatnonzero(asked))

    def take(self, places: Sequence[int] | Any) -> "Period":
        """Some of the accounts, in the order of `places`."""
        columns = {name: [values[place] for place in places] for name, values in self.columns.items()}
        outcomes = {
            name: Outcome(outcome.is_asked[places], outcome.happened[places]) for name, outcome in self.outcomes.items()
        }
        return Period(self.day, columns, outcomes)


def join(periods: Sequence[Period]) -> Period:
    """One after the other: an account occurs once per day. The day is the last one."""
    names = periods[0].columns
    outcomes = {
        name: Outcome(
            np.concatenate([period.outcomes[name].is_asked for period in periods]),
            np.concatenate([period.outcomes[name].happened for period in periods]),
        )
        for name in periods[0].outcomes
    }
    columns = {name: [value for period in periods for value in period.columns[name]] for name in names}
    return Period(periods[-1].day, columns, outcomes)
