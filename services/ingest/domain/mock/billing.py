"""What customers pay: a chain of subscriptions from the day they buy, through expansions, cuts, churn and return."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.ingest.domain.mock.arrays import (
    Texts,
    are_known,
    numbered,
    objects,
    only_where,
    random_stream,
    shorten_some,
    to_dates,
)
from services.ingest.domain.mock.market import Market
from services.ingest.domain.mock.merges import Merged
from services.ingest.domain.mock.opportunities import Deals
from services.ingest.domain.mock.options import MockOptions

# docs/mock-source.md names these.
BILLED: Final = 0.9
EXPANSION, CONTRACTION, CHURN = 0.40, 0.15, 0.15
RETURNS: Final = 0.4

_PLANS: Final = ((5_000, "Starter"), (40_000, "Professional"))


@dataclass(frozen=True)
class _Span:
    """One subscription; `end` is None while it runs."""

    deal: int
    arr: int
    start: np.datetime64
    end: np.datetime64 | None


def to_subscriptions(
    options: MockOptions,
    market: Market,
    deals: Deals,
    own: Deals,
    companies: Merged,
    accounts: Merged,
    horizon: np.datetime64,
) -> dict[str, Texts]:
    """Rows of `billing_subscriptions`. `deals` are those of Salesforce, `own` those that HubSpot alone has.

    One customer in ten is billed elsewhere. A row names the account by Salesforce's id, by HubSpot's or by its domain.
    """
    rng = random_stream(options.seed, 21)
    both = Deals(**{name: np.append(getattr(deals, name), getattr(own, name)) for name in vars(deals)})
    billed = rng.random(len(market.fit)) < BILLED
    won = np.flatnonzero(both.won & billed[both.account])
    spans = [span for deal in won.tolist() for span in _live(rng, both, deal, horizon)]
    deal = np.array([span.deal for span in spans], dtype=np.int64)
    account = both.account[deal]
    named_by = rng.random(len(market.fit))[account]
    salesforce = only_where(market.in_salesforce, accounts.named_instead(rng, 0.7))[account]
    hubspot = only_where(market.in_hubspot, companies.named_instead(rng, 0.7))[account]
    salesforce[named_by >= 0.8] = None
    hubspot[(named_by < 0.5) & are_known(salesforce) | (named_by >= 0.95)] = None
    ends = [span.end for span in spans]
    arr = [span.arr for span in spans]
    return {
        "id": numbered("sub-", np.arange(1, len(spans) + 1, dtype=np.int64), 6),
        "salesforce_account_id": shorten_some(rng, salesforce, 0.2),
        "hubspot_company_id": hubspot,
        "customer_domain": market.domain[account],
        "plan": objects([next((name for limit, name in _PLANS if amount < limit), "Enterprise") for amount in arr]),
        "seats": objects([str(max(1, amount // 300)) for amount in arr]),
        "arr": objects([f"{amount}.00" for amount in arr]),
        "currency": market.currency[account],
        "started_at": to_dates(np.array([span.start for span in spans], dtype="datetime64[D]")),
        "ended_at": objects([None if end is None else str(end) for end in ends]),
    }


def _live(rng: np.random.Generator, deals: Deals, deal: int, horizon: np.datetime64) -> Iterator[_Span]:
    """The subscriptions that follow from one won opportunity, one after the other."""
    start, arr = deals.closes[deal].astype("datetime64[D]"), int(deals.amount[deal])
    horizon = horizon.astype("datetime64[D]")
    while True:
        end = start + np.timedelta64(int(30 + rng.exponential(90)), "D")
        event = rng.random()
        if end >= horizon or event >= EXPANSION + CONTRACTION + CHURN:
            yield _Span(deal, arr, start, None)
            return
        yield _Span(deal, arr, start, end)
        if event < EXPANSION:
            start, arr = end, round(arr * (1.1 + 0.5 * rng.random()))
        elif event < EXPANSION + CONTRACTION:
            start, arr = end, max(1, round(arr * (0.5 + 0.4 * rng.random())))
        else:
            start = end + np.timedelta64(int(20 + 70 * rng.random()), "D")
            if rng.random() >= RETURNS or start >= horizon:
                return
