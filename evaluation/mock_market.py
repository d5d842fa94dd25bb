"""The generated market (docs/mock-source.md) at past days, and what became of its accounts within 90 days."""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from evaluation.marts import Marts
from evaluation.metrics import Flags
from evaluation.periods import WINDOW_DAYS, Outcome, Period, days_before
from services.ingest.domain.mock.options import MockOptions
from services.ingest.domain.mock.truth import build_truth

HORIZON: Final = date(2026, 3, 1)
_PERIODS: Final = 3  # the last is held out; the year before the horizon has room for them

WINS: Final = "wins"
OPENS: Final = "opens"
DECIDED: Final = "decided"
MEANINGS: Final = {
    WINS: "an active prospect wins an opportunity within 90 days (who becomes a customer)",
    OPENS: "a prospect without an open opportunity gets one within 90 days",
    DECIDED: "of the accounts whose open opportunity closes within 90 days: one is won",
}

_ACCOUNTS: Final = "select * from analytics.dim_accounts order by account_id"
# Seen from the end: what the marts of a past day must not show.
_LATER: Final = """
    select account_id,
        count(case when is_won and closed_at >= {first} and closed_at < {end} then 1 end) as won,
        count(case when created_at >= {first} and created_at < {end} then 1 end) as created,
        count(case when created_at < {first} and is_closed and closed_at >= {first} and closed_at < {end} then 1 end)
            as decided,
        count(case when created_at < {first} and is_won and closed_at >= {first} and closed_at < {end} then 1 end)
            as decided_won
    from analytics.fct_opportunities
    where account_id is not null
    group by account_id
"""


@dataclass(frozen=True)
class MarketSize:
    """Options of the `mock` source; `dirt` as it comes by default."""

    accounts: int = 10_000
    visits: int = 200_000
    seed: int = 42
    dirt: float = 0.05

    def to_options(self) -> MockOptions:
        return MockOptions(as_of=HORIZON, **vars(self))


class MockMarket:
    """Lands the market once; then periods of it can be read."""

    def __init__(self, size: MarketSize, folder: Path) -> None:
        self._size = size
        self.marts = Marts(folder)
        self.marts.land({"source": "mock", "options": size.to_options().model_dump(mode="json")})
        self._traits = _read_traits(size)
        self.days = days_before(HORIZON, _PERIODS)

    def read_periods(self, **variables: Any) -> list[Period]:
        """The marts as of each day with what followed, oldest first; those of the last day stay in the warehouse."""
        return [self._read_period(day, variables) for day in self.days]

    def _read_period(self, day: date, variables: dict[str, Any]) -> Period:
        self.marts.build(day, **variables)
        columns = self.marts.read(_ACCOUNTS)
        first, end = day + timedelta(days=1), day + timedelta(days=1 + WINDOW_DAYS)
        later = self.marts.read(_LATER.format(first=f"timestamp '{first}'", end=f"timestamp '{end}'"))
        place = {account_id: number for number, account_id in enumerate(later["account_id"])}

        def counts(name: str) -> Flags:
            found = (place.get(account_id) for account_id in columns["account_id"])
            return np.array([number is not None and later[name][number] > 0 for number in found])

        is_prospect = np.array(columns["is_active_prospect"])
        has_open = np.array(columns["open_opportunities"]) > 0
        outcomes = {
            WINS: Outcome(is_prospect, counts("won")),
            OPENS: Outcome(is_prospect & ~has_open, counts("created")),
            DECIDED: Outcome(counts("decided"), counts("decided_won")),
        }
        return Period(day, {**columns, **self._traits_of(columns)}, outcomes)

    def _traits_of(self, columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """The hidden traits, for the ceiling alone; those of an account that dirt has cut off from its id are 0, 0."""
        ids = zip(columns["hubspot_company_id"], columns["salesforce_account_id"], strict=True)
        traits = [
            self._traits.get(hubspot) or self._traits.get(salesforce) or (0.0, 0.0) for hubspot, salesforce in ids
        ]
        return {"hidden_fit": [fit for fit, _ in traits], "hidden_intent": [intent for _, intent in traits]}


def _read_traits(size: MarketSize) -> dict[str | None, tuple[float, float]]:
    companies: pa.Table = build_truth(size.to_options(), HORIZON).companies
    traits = list(zip(companies["fit"].to_pylist(), companies["intent"].to_pylist(), strict=True))
    by_id: dict[str | None, tuple[float, float]] = {}
    for name in ("hubspot_company_id", "salesforce_account_id"):
        by_id |= dict(zip(companies[name].to_pylist(), traits, strict=True))
    by_id.pop(None, None)
    return by_id
