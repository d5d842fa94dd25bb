"""Page views of the vendor's web site, in chunks: a hundred million of them need no more memory than one chunk."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from services.ingest.domain.mock.arrays import (
    MILLISECONDS_PER_DAY,
    Flags,
    Floats,
    Ints,
    Moments,
    Texts,
    draw,
    numbered,
    objects,
    only_where,
    random_stream,
    sigmoid,
    to_iso,
)
from services.ingest.domain.mock.crm import Contacts
from services.ingest.domain.mock.market import Market
from services.ingest.domain.mock.opportunities import Deals
from services.ingest.domain.mock.options import MockOptions
from services.ingest.domain.mock.pools import CHANNELS, HIGH_INTENT_PAGES, OTHER_PAGES, SITE

# docs/mock-source.md names these coefficients.
VISIT_INTENT: Final = 0.9
VISIT_FIT: Final = 0.25
HIGH_INTENT_BASE: Final = -1.5
HIGH_INTENT_INTENT: Final = 0.8
HIGH_INTENT_FIT: Final = 0.2
RECENCY_INTENT: Final = 0.45
_DAYS_AROUND_A_DEAL: Final = 40

CHUNK_ROWS: Final = 50_000
"""Rows per random stream: a constant, so that the rows don't depend on the caller's batch size."""


def iterate_visits(
    options: MockOptions, market: Market, deals: Deals, contacts: Contacts, horizon: np.datetime64
) -> Iterator[dict[str, Texts]]:
    """Rows of `hubspot_web_visits`; within a chunk in the order in which they happened."""
    known = np.flatnonzero(market.in_hubspot)
    people = _people_by_account(contacts, len(market.fit))
    weight = np.cumsum(np.exp(VISIT_INTENT * market.intent[known] + VISIT_FIT * market.fit[known]))
    deal_of = np.full(len(market.fit), -1, dtype=np.int64)
    deal_of[deals.account] = np.arange(len(deals.account))
    for chunk in range(max(1, -(-options.visits // CHUNK_ROWS))):  # no visits are an empty chunk: they were read, too
        rng = random_stream(options.seed, 8, chunk)
        rows = min(CHUNK_ROWS, options.visits - chunk * CHUNK_ROWS)
        account = known[np.searchsorted(weight, rng.random(rows) * weight[-1])] if len(known) else np.zeros(0, np.int64)
        moment = _draw_moments(rng, options, market, deals, deal_of, account, horizon)
        order = np.argsort(moment, kind="stable")
        account, moment = account[order], moment[order]
        first, count = people[0][account], people[1][account]
        person = first + (rng.random(len(account)) * count).astype(np.int64)
        page = _draw_pages(rng, market, account)
        number = np.arange(len(account), dtype=np.int64) + chunk * CHUNK_ROWS + 1
        yield {
            "id": numbered("pv-", number, 9),
            **_draw_visitors(rng, contacts, person),
            "occurred_at": to_iso(moment, "Z"),
            "page_url": page[0],
            "page_title": page[1],
            **_draw_channels(rng, len(account)),
        }


def _people_by_account(contacts: Contacts, accounts: int) -> tuple[Ints, Ints]:
    """Position of each company's first person, and how many there are; contacts are sorted by company."""
    count = np.bincount(contacts.account, minlength=accounts)
    return np.cumsum(count) - count, count


def _draw_moments(
    rng: np.random.Generator,
    options: MockOptions,
    market: Market,
    deals: Deals,
    deal_of: Ints,
    account: Ints,
    horizon: np.datetime64,
) -> Moments:
    """Half of a buyer's visits surround its latest opportunity; the rest is the more recent the higher the intent."""
    rows = len(account)
    start = horizon - np.timedelta64(options.history_days, "D")
    age = options.history_days * rng.random(rows) ** np.exp(RECENCY_INTENT * market.intent[account])
    moment = horizon - (age * MILLISECONDS_PER_DAY + 1).astype("timedelta64[ms]")
    around: Flags = (deal_of[account] >= 0) & (rng.random(rows) < 0.5)
    share = rng.random(rows)[around]
    deal = deal_of[account[around]]
    opened = np.maximum(deals.created[deal] - np.timedelta64(_DAYS_AROUND_A_DEAL, "D"), start)
    ended = np.minimum(deals.closes[deal], horizon - np.timedelta64(1, "ms"))
    moment[around] = opened + ((ended - opened) * share).astype("timedelta64[ms]")
    return moment


def _draw_pages(rng: np.random.Generator, market: Market, account: Ints) -> tuple[Texts, Texts]:
    odds = HIGH_INTENT_BASE + HIGH_INTENT_INTENT * market.intent[account] + HIGH_INTENT_FIT * market.fit[account]
    is_high = rng.random(len(account)) < sigmoid(odds)
    pages = (*HIGH_INTENT_PAGES, *OTHER_PAGES)
    index = np.where(
        is_high,
        rng.integers(0, len(HIGH_INTENT_PAGES), len(account)),
        rng.integers(len(HIGH_INTENT_PAGES), len(pages), len(account)),
    )
    return objects([SITE + path for path, _ in pages])[index], objects([title for _, title in pages])[index]


def _draw_visitors(rng: np.random.Generator, contacts: Contacts, person: Ints) -> dict[str, Texts]:
    """One visit in five is not signed in: the browser is known, the person isn't; one in fifteen is a stranger."""
    roll = rng.random(len(person))
    strangers = objects([f"v{number:012x}" for number in rng.integers(0, 2**48, len(person)).tolist()])
    return {
        "contact_id": only_where(roll >= 0.2, contacts.hubspot_id[person]),
        "visitor_id": np.where(roll < 1 / 15, strangers, contacts.visitor_id[person]),
    }


def _draw_channels(rng: np.random.Generator, rows: int) -> dict[str, Texts]:
    shares: Floats = np.array([[share for share, *_ in CHANNELS.values()]])
    channel = draw(rng, np.repeat(shares, rows, axis=0))
    referrer, source, medium = (objects([traits[i] for traits in CHANNELS.values()])[channel] for i in (1, 2, 3))
    campaigns = [traits[4] for traits in CHANNELS.values()]
    widest = max(len(names) for names in campaigns)
    table = objects([names[i % len(names)] if names else None for names in campaigns for i in range(widest)])
    campaign = table[channel * widest + rng.integers(0, widest, rows)]
    return {"referrer": referrer, "utm_source": source, "utm_medium": medium, "utm_campaign": campaign}
