"""Who comes to the vendor's web site, and when: interest brings people, most of all while they decide."""

from typing import Final

import numpy as np

from services.ingest.domain.mock.arrays import MILLISECONDS_PER_DAY, Flags, Floats, Ints, Moments
from services.ingest.domain.mock.crm import Contacts
from services.ingest.domain.mock.market import Market
from services.ingest.domain.mock.opportunities import Deals
from services.ingest.domain.mock.options import MockOptions

# docs/mock-source.md names these coefficients.
VISIT_INTENT: Final = 0.9
VISIT_FIT: Final = 0.25
RECENCY_INTENT: Final = 0.45
AROUND_A_DEAL: Final = 0.5
DAYS_AROUND_A_DEAL: Final = 40

_POSITION_BITS: Final = 20  # a chunk has fewer rows; the milliseconds of ten years need 39


class Audience:
    """People at companies that HubSpot knows."""

    def __init__(
        self, options: MockOptions, market: Market, deals: Deals, contacts: Contacts, horizon: np.datetime64
    ) -> None:
        self._horizon = horizon.astype("datetime64[ms]").astype(np.int64)
        self._history_days = options.history_days
        self._known = np.flatnonzero(market.in_hubspot)
        known = self._known
        self._weight = np.cumsum(np.exp(VISIT_INTENT * market.intent[known] + VISIT_FIT * market.fit[known]))
        self._recency = np.exp(RECENCY_INTENT * market.intent)
        self._people = np.bincount(contacts.account, minlength=len(market.fit))
        self._first_person = np.cumsum(self._people) - self._people  # contacts are sorted by company
        start = horizon - np.timedelta64(options.history_days, "D")
        opened = np.maximum(deals.created - np.timedelta64(DAYS_AROUND_A_DEAL, "D"), start)
        ended = np.minimum(deals.closes, horizon - np.timedelta64(1, "ms"))
        self._opened = np.full(len(market.fit), -1, dtype=np.int64)
        self._lasts = np.zeros(len(market.fit), dtype=np.int64)
        # A company's deals come one after the other: the last one stays.
        self._opened[deals.account] = opened.astype(np.int64)
        self._lasts[deals.account] = (ended - opened).astype(np.int64)
        self._has_deal = np.bincount(deals.account, minlength=len(market.fit)) > 0

    def draw(self, rng: np.random.Generator, rows: int) -> tuple[Ints, Ints, Moments]:
        """Companies, people and moments, in the order of the moments; none where HubSpot knows no company."""
        if not len(self._known):
            rows = 0
        total = self._weight[-1] if len(self._known) else 0.0
        account = self._known[_search(self._weight, rng.random(rows) * total)]
        moment = self._draw_moments(rng, account)
        # Sorted together with their positions: many times as fast as a stable argsort, and the same order.
        sorted_keys = np.sort(((moment - self._horizon) << _POSITION_BITS) | np.arange(rows))
        account = account[sorted_keys & ((1 << _POSITION_BITS) - 1)]
        moment = (sorted_keys >> _POSITION_BITS) + self._horizon
        person = self._first_person[account] + (rng.random(rows) * self._people[account]).astype(np.int64)
        return account, person, moment.view("datetime64[ms]")

    def _draw_moments(self, rng: np.random.Generator, account: Ints) -> Ints:
        """Half of a buyer's visits surround its latest opportunity; the rest is more recent the higher the intent."""
        rows = len(account)
        age = self._history_days * rng.random(rows) ** self._recency[account]
        moment = self._horizon - (age * MILLISECONDS_PER_DAY + 1).astype(np.int64)
        around: Flags = self._has_deal[account] & (rng.random(rows) < AROUND_A_DEAL)
        share = rng.random(rows)
        surrounding = self._opened[account] + (self._lasts[account] * share).astype(np.int64)
        return np.where(around, surrounding, moment)


def _search(cumulated: Floats, values: Floats) -> Ints:
    """`np.searchsorted`, three times as fast: ordered values find their places in the cache."""
    order = np.argsort(values)
    index = np.empty(len(values), dtype=np.int64)
    index[order] = np.searchsorted(cumulated, values[order])
    return index
