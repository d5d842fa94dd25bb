"""Page views of the vendor's web site, in chunks: a hundred million of them need no more memory than one chunk."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from services.ingest.domain.mock.arrays import (
    Floats,
    Ints,
    Texts,
    draw,
    numbered,
    objects,
    only_where,
    random_stream,
    sigmoid,
    to_iso,
)
from services.ingest.domain.mock.audience import Audience
from services.ingest.domain.mock.crm import Contacts
from services.ingest.domain.mock.market import Market
from services.ingest.domain.mock.pools import CHANNELS, HIGH_INTENT_PAGES, OTHER_PAGES, SITE

# docs/mock-source.md names these coefficients.
HIGH_INTENT_BASE: Final = -1.5
HIGH_INTENT_INTENT: Final = 0.8
HIGH_INTENT_FIT: Final = 0.2

CHUNK_ROWS: Final = 50_000
"""Rows per random stream: a constant, so that the rows don't depend on the caller's batch size."""


def split_rows(rows: int, chunk_rows: int = CHUNK_ROWS) -> Iterator[tuple[int, int]]:
    """Number and size of each chunk; none at all is one empty chunk, since the table was read, too."""
    for chunk in range(max(1, -(-rows // chunk_rows))):
        yield chunk, min(chunk_rows, rows - chunk * chunk_rows)


def iterate_visits(
    seed: int, visits: int, market: Market, contacts: Contacts, audience: Audience
) -> Iterator[dict[str, Texts]]:
    """Rows of `hubspot_web_visits`; within a chunk in the order in which they happened."""
    for chunk, rows in split_rows(visits):
        rng = random_stream(seed, 8, chunk)
        account, person, moment = audience.draw(rng, rows)
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
