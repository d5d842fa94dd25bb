"""Webhook events: what a sender told, verified, and which account or which records of a CRM it is about.

How each sender signs and writes: `standard_webhooks.py`, `hubspot_events.py`, `salesforce_messages.py`.
"""

import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from shared.contracts import CHANGE_SOURCES
from shared.errors import GtmError

MAX_EVENTS: Final = 100  # of one call
MAX_TYPE_CHARS: Final = 128
_UNSTORABLE = ("Cc", "Cs")  # Unicode's control characters (PostgreSQL refuses NUL) and halves of surrogate pairs

Ignored = Literal["unknown-type", "unknown-source", "unknown-object", "unreadable"]


@dataclass(frozen=True)
class RecordChange:
    """Records of one object of a CRM that were changed, made, merged or deleted: the CRM tells which when asked."""

    source: str
    object: str
    record_ids: tuple[str, ...]


@dataclass(frozen=True)
class WebhookEvent:
    """A verified event. With neither an account nor a change there is nothing to do but acknowledge it, and
    `ignored_for` says why.

    `event_id` is the sender's, or made of what tells its events apart: the same one means the same event, delivered
    again. `occurred_at` is by the sender's clock, in UTC.
    """

    event_id: str
    event_type: str
    occurred_at: datetime | None = None
    account_id: str | None = None
    changes: tuple[RecordChange, ...] = ()
    ignored_for: Ignored | None = None


def is_storable(text: str, most_chars: int) -> bool:
    """Whether both databases take it."""
    return len(text) <= most_chars and not has_control_characters(text)


def has_control_characters(text: str) -> bool:
    """Those that PostgreSQL refuses among them."""
    return any(unicodedata.category(character) in _UNSTORABLE for character in text)


def is_record_id(source: str, text: str) -> bool:
    """Whether an id of the CRM looks like this."""
    return CHANGE_SOURCES[source].record_id.fullmatch(text) is not None


def refuse_signature(mend: str) -> GtmError:
    """One answer to whatever was wrong: who tries to forge an event learns nothing from it. `mend` is the same for each
    call of one sender."""
    return GtmError(
        f"The signature does not fit. {mend}",
        code="webhook-signature-invalid",
        title="The webhook's signature is not valid",
        status=401,
    )
