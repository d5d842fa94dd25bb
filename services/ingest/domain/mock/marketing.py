"""What marketing sees of known people: the forms that they send, and what becomes of the emails that they get."""

from typing import Final

import numpy as np

from services.ingest.domain.mock.arrays import (
    Flags,
    Ints,
    Moments,
    Texts,
    numbered,
    objects,
    random_stream,
    sigmoid,
)
from services.ingest.domain.mock.audience import Audience
from services.ingest.domain.mock.crm import Contacts
from services.ingest.domain.mock.market import Market
from services.ingest.domain.mock.merges import Merged
from services.ingest.domain.mock.options import MockOptions
from services.ingest.domain.mock.pools import SITE
from services.ingest.domain.mock.rows import Events
from services.ingest.domain.mock.texts import iso_texts, numbered_texts, take, to_pool
from services.ingest.domain.mock.visits import CHUNK_ROWS

# docs/mock-source.md names these.
VISITS_PER_FORM: Final = 100
VISITS_PER_EMAIL: Final = 50  # an email leaves about two and a half events
OPEN_BASE: Final = -0.8
OPEN_INTENT: Final = 0.5
BOTS: Final = 0.08

EMAIL_CHUNK_ROWS: Final = CHUNK_ROWS // 4

_FORMS: Final = (
    ("Book a demo", "/demo"),
    ("Ask for a quote", "/pricing"),
    ("Newsletter", "/"),
    ("Guide", "/customers"),
)
_FORM_IDS: Final = to_pool([f"form-{number:04d}" for number in range(1, len(_FORMS) + 1)])
_FORM_NAMES: Final = to_pool([name for name, _ in _FORMS])
_FORM_PAGES: Final = to_pool([SITE + path for _, path in _FORMS])
_EVENTS: Final = to_pool(["SENT", "DELIVERED", "OPEN", "CLICK", "BOUNCE"])
_FLAGS: Final = to_pool(["false", "true"])


class FormSubmissions:
    """Rows of `hubspot_form_submissions`; people who were merged may still be named by the id that is gone."""

    def __init__(self, seed: int, audience: Audience, merged: Merged) -> None:
        self._seed, self._audience, self._merged = seed, audience, merged
        self._contact_ids = to_pool(np.append(merged.into, merged.ids))

    def build_chunk(self, chunk: int, rows: int) -> Events:
        """In the order in which they were sent. Needs nothing of another chunk."""
        rng = random_stream(self._seed, 15, chunk)
        _, person, moment = self._audience.draw(rng, rows)
        form = rng.integers(0, len(_FORMS), len(person))
        gone = self._merged.draw_stale(rng, 0.5)[person]
        submitted_at, updated_at = iso_texts(moment)
        columns = {
            "id": numbered_texts("fs-", np.arange(len(person), dtype=np.int64) + chunk * CHUNK_ROWS + 1, 9),
            "contact_id": take(self._contact_ids, person + gone * len(self._merged.into)),
            "form_id": take(_FORM_IDS, form),
            "form_name": take(_FORM_NAMES, form),
            "page_url": take(_FORM_PAGES, form),
            "submitted_at": submitted_at,
        }
        return Events(columns, updated_at)


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
        "id": _campaign_ids(len(days)),
        "name": objects([("Newsletter ", "Webinar invitation ")[n % 2] + day for n, day in enumerate(days)]),
        "subject": objects(
            [("What fleets learnt", "Join us: safer & cheaper fleets")[n % 2] for n in range(len(days))]
        ),
        "type": objects([("BATCH_EMAIL", "AUTOMATED_EMAIL")[n % 2] for n in range(len(days))]),
    }


class EmailEvents:
    """Rows of `hubspot_email_events`: what became of each email. Programs that follow every link are marked."""

    def __init__(self, options: MockOptions, market: Market, contacts: Contacts, horizon: np.datetime64) -> None:
        self._seed, self._horizon = options.seed, horizon
        self._mailings = campaign_moments(options, horizon)
        self._known = np.flatnonzero(market.in_hubspot[contacts.account])
        self._reads = sigmoid(OPEN_BASE + OPEN_INTENT * market.intent)[contacts.account]
        self._emails = to_pool(contacts.email)
        self._campaign_ids = to_pool(_campaign_ids(len(self._mailings)))

    def build_chunk(self, chunk: int, emails: int) -> Events:
        """The events of `emails` emails, one email after the other. Needs nothing of another chunk."""
        rng = random_stream(self._seed, 16, chunk)
        emails = emails if len(self._known) else 0
        person = self._known[rng.integers(0, max(len(self._known), 1), emails)]
        mailing = rng.integers(0, len(self._mailings), emails)
        bot = rng.random(emails) < BOTS
        happened = self._draw_fates(rng, person, bot)
        email, event = np.nonzero(happened)
        when = _event_moments(rng, self._mailings[mailing], bot)[email, event]
        inside = when < self._horizon
        email, event, when = email[inside], event[inside], when[inside]
        occurred_at, updated_at = iso_texts(when)
        columns = {
            "id": numbered_texts("ee-", (email + chunk * EMAIL_CHUNK_ROWS + 1) * 10 + event, 11),
            "event_type": take(_EVENTS, event),
            "recipient": take(self._emails, person[email]),
            "email_campaign_id": take(self._campaign_ids, mailing[email]),
            "is_filtered": take(_FLAGS, (bot[email] & (event >= 2)).astype(np.int64)),
            "occurred_at": occurred_at,
        }
        return Events(columns, updated_at)

    def _draw_fates(self, rng: np.random.Generator, person: Ints, bot: Flags) -> Flags:
        """A row per email, a column per kind of event."""
        bounced = rng.random(len(person)) < 0.03
        opened = ~bounced & (bot | (rng.random(len(person)) < self._reads[person]))
        clicked = opened & (bot | (rng.random(len(person)) < 0.25))
        return np.stack([np.ones(len(person), dtype=bool), ~bounced, opened, clicked, bounced], axis=1)


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


def _campaign_ids(count: int) -> Texts:
    return numbered("", 75_310_000 + np.arange(count, dtype=np.int64), 8)
