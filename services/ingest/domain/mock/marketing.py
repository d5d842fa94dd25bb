"""What marketing sees of known people: the forms that they send, and what becomes of the emails that they get."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from services.ingest.domain.mock.arrays import (
    Flags,
    Ints,
    Moments,
    Texts,
    flag_texts,
    numbered,
    objects,
    random_stream,
    sigmoid,
    to_iso,
)
from services.ingest.domain.mock.audience import Audience
from services.ingest.domain.mock.crm import Contacts
from services.ingest.domain.mock.market import Market
from services.ingest.domain.mock.merges import Merged
from services.ingest.domain.mock.options import MockOptions
from services.ingest.domain.mock.pools import SITE
from services.ingest.domain.mock.visits import CHUNK_ROWS, split_rows

# docs/mock-source.md names these.
VISITS_PER_FORM: Final = 100
VISITS_PER_EMAIL: Final = 50  # an email leaves about two and a half events
OPEN_BASE: Final = -0.8
OPEN_INTENT: Final = 0.5
BOTS: Final = 0.08

_FORMS: Final = (
    ("Book a demo", "/demo"),
    ("Ask for a quote", "/pricing"),
    ("Newsletter", "/"),
    ("Guide", "/customers"),
)
_EVENTS: Final = ("SENT", "DELIVERED", "OPEN", "CLICK", "BOUNCE")


def iterate_form_submissions(options: MockOptions, audience: Audience, merged: Merged) -> Iterator[dict[str, Texts]]:
    """Rows of `hubspot_form_submissions`; people who were merged may still be named by the id that is gone."""
    for chunk, rows in split_rows(options.visits // VISITS_PER_FORM):
        rng = random_stream(options.seed, 15, chunk)
        _, person, moment = audience.draw(rng, rows)
        form = rng.integers(0, len(_FORMS), len(person))
        number = np.arange(len(person), dtype=np.int64) + chunk * CHUNK_ROWS + 1
        yield {
            "id": numbered("fs-", number, 9),
            "contact_id": merged.named_instead(rng, 0.5)[person],
            "form_id": numbered("form-", form + 1, 4),
            "form_name": objects([name for name, _ in _FORMS])[form],
            "page_url": objects([SITE + path for _, path in _FORMS])[form],
            "submitted_at": to_iso(moment, "Z"),
        }


def campaign_moments(options: MockOptions, horizon: np.datetime64) -> Moments:
    """One mailing every second week, at ten o'clock, oldest first."""
    count = max(1, options.history_days // 14)
    moments: Moments = horizon - (np.arange(count, 0, -1) * 14).astype("timedelta64[D]") + np.timedelta64(10, "h")
    return moments.astype("datetime64[ms]")


def to_email_campaigns(options: MockOptions, horizon: np.datetime64) -> dict[str, Texts]:
    """Rows of `hubspot_email_campaigns`."""
    moments = campaign_moments(options, horizon)
    days = np.datetime_as_string(moments.astype("datetime64[D]")).tolist()
    return {
        "id": _campaign_ids(np.arange(len(days))),
        "name": objects([("Newsletter ", "Webinar invitation ")[n % 2] + day for n, day in enumerate(days)]),
        "subject": objects(
            [("What fleets learnt", "Join us: safer & cheaper fleets")[n % 2] for n in range(len(days))]
        ),
        "type": objects([("BATCH_EMAIL", "AUTOMATED_EMAIL")[n % 2] for n in range(len(days))]),
    }


def iterate_email_events(
    options: MockOptions, market: Market, contacts: Contacts, horizon: np.datetime64
) -> Iterator[dict[str, Texts]]:
    """Rows of `hubspot_email_events`: what became of each email. Programs that follow every link are marked."""
    moments = campaign_moments(options, horizon)
    known = np.flatnonzero(market.in_hubspot[contacts.account])
    for chunk, rows in split_rows(options.visits // VISITS_PER_EMAIL, CHUNK_ROWS // 4):
        rng = random_stream(options.seed, 16, chunk)
        rows = rows if len(known) else 0
        person = known[rng.integers(0, max(len(known), 1), rows)]
        mailing = rng.integers(0, len(moments), rows)
        bot = rng.random(rows) < BOTS
        bounced = rng.random(rows) < 0.03
        reads = rng.random(rows) < sigmoid(OPEN_BASE + OPEN_INTENT * market.intent[contacts.account[person]])
        opened = ~bounced & (bot | reads)
        clicked = opened & (bot | (rng.random(rows) < 0.25))
        happened = np.stack([np.ones(rows, dtype=bool), ~bounced, opened, clicked, bounced], axis=1)
        email, event = np.nonzero(happened)
        when = _event_moments(rng, moments[mailing], bot)[email, event]
        inside = when < horizon
        email, event, when = email[inside], event[inside], when[inside]
        number = (email + chunk * (CHUNK_ROWS // 4) + 1) * 10 + event
        yield {
            "id": numbered("ee-", number.astype(np.int64), 11),
            "event_type": objects([*_EVENTS])[event],
            "recipient": contacts.email[person[email]],
            "email_campaign_id": _campaign_ids(mailing[email]),
            "is_filtered": flag_texts(bot[email] & (event >= 2)),
            "occurred_at": to_iso(when, "Z"),
        }


def _event_moments(rng: np.random.Generator, mailed: Moments, bot: Flags) -> Moments:
    """A row per email, a column per kind of event. People open within days; programs within seconds."""
    rows = len(mailed)
    sent = mailed + (rng.random(rows) * 3_600_000).astype("timedelta64[ms]")
    delivered = sent + (1_000 + rng.random(rows) * 20_000).astype("timedelta64[ms]")
    patience = np.where(bot, 5_000, 86_400_000)
    opened = delivered + (rng.exponential(0.7, rows) * patience + 1).astype("timedelta64[ms]")
    clicked = opened + (1 + rng.random(rows) * np.where(bot, 1_000, 300_000)).astype("timedelta64[ms]")
    moments: Moments = np.stack([sent, delivered, opened, clicked, delivered], axis=1)
    return moments


def _campaign_ids(numbers: Ints) -> Texts:
    return numbered("", 75_310_000 + numbers, 8)
