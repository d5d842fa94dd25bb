"""Who comes to the vendor's web site, and when: interest brings people, most of all while they decide."""

from typing import Final

import numpy as np

from services.ingest.domain.mock.arrays import MILLISECONDS_PER_DAY, Flags, Ints, Moments
from services.ingest.domain.mock.crm import Contacts
from services.ingest.domain.mock.market import Market
from services.ingest.domain.mock.opportunities import Deals
from services.ingest.domain.mock.options import MockOptions

# docs/mock-source.md names these coefficients.
VISIT_INTENT: Final = 0.9
VISIT_FIT: Final = 0.25
RECENCY_INTENT: Final = 0.45
_DAYS_AROUND_A_DEAL: Final = 40


class Audience:
    """People at companies that HubSpot knows."""

    def __init__(
        self, options: MockOptions, market: Market, deals: Deals, contacts: Contacts, horizon: np.datetime64
    ) -> None:
        self._market, self._deals, self._horizon = market, deals, horizon
        self._history_days = options.history_days
        self._known = np.flatnonzero(market.in_hubspot)
        known = self._known
        self._weight = np.cumsum(np.exp(VISIT_INTENT * market.intent[known] + VISIT_FIT * market.fit[known]))
        self._people = np.bincount(contacts.account, minlength=len(market.fit))
        self._first_person = np.cumsum(self._people) - self._people  # contacts are sorted by company
        self._deal_of = np.full(len(market.fit), -1, dtype=np.int64)
        self._deal_of[deals.account] = np.arange(len(deals.account))

    def draw(self, rng: np.random.Generator, rows: int) -> tuple[Ints, Ints, Moments]:
        """Companies, people and moments, in the order of the moments; none where HubSpot knows no company."""
        if not len(self._known):
            rows = 0
        total = self._weight[-1] if len(self._known) else 0.0
        account = self._known[np.searchsorted(self._weight, rng.random(rows) * total)]
        moment = self._draw_moments(rng, account)
        order = np.argsort(moment, kind="stable")
        account, moment = account[order], moment[order]
        person = self._first_person[account] + (rng.random(rows) * self._people[account]).astype(np.int64)
        return account, person, moment

    def _draw_moments(self, rng: np.random.Generator, account: Ints) -> Moments:
        """Half of a buyer's visits surround its latest opportunity; the rest is more recent the higher the intent."""
        rows, horizon = len(account), self._horizon
        start = horizon - np.timedelta64(self._history_days, "D")
        age = self._history_days * rng.random(rows) ** np.exp(RECENCY_INTENT * self._market.intent[account])
        moment = horizon - (age * MILLISECONDS_PER_DAY + 1).astype("timedelta64[ms]")
        around: Flags = (self._deal_of[account] >= 0) & (rng.random(rows) < 0.5)
        share = rng.random(rows)[around]
        deal = self._deal_of[account[around]]
        opened = np.maximum(self._deals.created[deal] - np.timedelta64(_DAYS_AROUND_A_DEAL, "D"), start)
        ended = np.minimum(self._deals.closes[deal], horizon - np.timedelta64(1, "ms"))
        moment[around] = opened + ((ended - opened) * share).astype("timedelta64[ms]")
        return moment
