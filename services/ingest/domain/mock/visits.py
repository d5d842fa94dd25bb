"""Page views of the vendor's web site, in chunks: a hundred million of them need no more memory than one chunk."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from services.ingest.domain.mock.arrays import Ints, draw_alike, random_stream, sigmoid
from services.ingest.domain.mock.audience import Audience
from services.ingest.domain.mock.crm import Contacts
from services.ingest.domain.mock.market import Market
from services.ingest.domain.mock.pools import CHANNELS, HIGH_INTENT_PAGES, OTHER_PAGES, SITE
from services.ingest.domain.mock.rows import Events
from services.ingest.domain.mock.texts import hex_texts, iso_texts, numbered_texts, take, to_pool

# docs/mock-source.md names these coefficients.
HIGH_INTENT_BASE: Final = -1.5
HIGH_INTENT_INTENT: Final = 0.8
HIGH_INTENT_FIT: Final = 0.2
NOT_SIGNED_IN: Final = 0.2
STRANGERS: Final = 1 / 15

CHUNK_ROWS: Final = 50_000
"""Rows per random stream: a constant, so that the rows don't depend on the caller's batch size."""

_PAGES: Final = (*HIGH_INTENT_PAGES, *OTHER_PAGES)
_PAGE_URLS: Final = to_pool([SITE + path for path, _ in _PAGES])
_PAGE_TITLES: Final = to_pool([title for _, title in _PAGES])
_SHARES: Final = np.array([share for share, *_ in CHANNELS.values()])
_MOST_CAMPAIGNS: Final = max(len(traits[4]) for traits in CHANNELS.values())
_CAMPAIGNS: Final = to_pool(
    [names[i % len(names)] if names else None for *_, names in CHANNELS.values() for i in range(_MOST_CAMPAIGNS)]
)
_REFERRERS: Final = to_pool([referrer for _, referrer, *_ in CHANNELS.values()])
_SOURCES: Final = to_pool([source for _, _, source, *_ in CHANNELS.values()])
_MEDIA: Final = to_pool([medium for _, _, _, medium, _ in CHANNELS.values()])


def split_rows(rows: int, chunk_rows: int = CHUNK_ROWS) -> Iterator[tuple[int, int]]:
    """Number and size of each chunk; none at all is one empty chunk, since the table was read, too."""
    for chunk in range(max(1, -(-rows // chunk_rows))):
        yield chunk, min(chunk_rows, rows - chunk * chunk_rows)


class Visits:
    """Rows of `hubspot_web_visits`."""

    def __init__(self, seed: int, market: Market, contacts: Contacts, audience: Audience) -> None:
        self._seed, self._audience = seed, audience
        odds = HIGH_INTENT_BASE + HIGH_INTENT_INTENT * market.intent + HIGH_INTENT_FIT * market.fit
        self._high_intent = sigmoid(odds)
        self._contact_ids, self._visitor_ids = to_pool(contacts.hubspot_id), to_pool(contacts.visitor_id)

    def build_chunk(self, chunk: int, rows: int) -> Events:
        """In the order in which they happened. Needs nothing of another chunk."""
        rng = random_stream(self._seed, 8, chunk)
        account, person, moment = self._audience.draw(rng, rows)
        page = self._draw_pages(rng, account)
        occurred_at, updated_at = iso_texts(moment)
        columns = {
            "id": numbered_texts("pv-", np.arange(len(account), dtype=np.int64) + chunk * CHUNK_ROWS + 1, 9),
            **self._draw_visitors(rng, person),
            "occurred_at": occurred_at,
            "page_url": take(_PAGE_URLS, page),
            "page_title": take(_PAGE_TITLES, page),
            **_draw_channels(rng, len(account)),
        }
        return Events(columns, updated_at)

    def _draw_pages(self, rng: np.random.Generator, account: Ints) -> Ints:
        is_high = rng.random(len(account)) < self._high_intent[account]
        high = rng.integers(0, len(HIGH_INTENT_PAGES), len(account))
        other = rng.integers(len(HIGH_INTENT_PAGES), len(_PAGES), len(account))
        return np.where(is_high, high, other)

    def _draw_visitors(self, rng: np.random.Generator, person: Ints) -> dict[str, pa.Array]:
        """One visit in five is not signed in: the browser is known, the person isn't; one in fifteen is a stranger."""
        roll = rng.random(len(person))
        browser = rng.integers(0, 2**48, len(person))
        is_strange = roll < STRANGERS
        strangers = hex_texts("v", browser[is_strange], 12)
        return {
            "contact_id": take(self._contact_ids, person, roll >= NOT_SIGNED_IN),
            "visitor_id": pc.replace_with_mask(take(self._visitor_ids, person), pa.array(is_strange), strangers),
        }


def _draw_channels(rng: np.random.Generator, rows: int) -> dict[str, pa.Array]:
    channel = draw_alike(rng, _SHARES, rows)
    campaign = channel * _MOST_CAMPAIGNS + rng.integers(0, _MOST_CAMPAIGNS, rows)
    return {
        "referrer": take(_REFERRERS, channel),
        "utm_source": take(_SOURCES, channel),
        "utm_medium": take(_MEDIA, channel),
        "utm_campaign": take(_CAMPAIGNS, campaign),
    }
