"""Webhooks of HubSpot: their signatures, and which records the events of one call are about.

Sources: HubSpot's guides "Validating requests" (with its table of characters that are decoded in the URI) and
"Webhooks" (subscription types and their fields). HubSpot sends up to 100 events a call, at least once and in any order,
wants an answer within five seconds, and repeats what was refused for a day.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from services.scoring.domain.webhooks import (
    MAX_EVENTS,
    MAX_TYPE_CHARS,
    Ignored,
    RecordChange,
    WebhookEvent,
    is_record_id,
    is_storable,
    refuse_signature,
)
from shared.errors import InvalidRequest

SignatureVersion = Literal["v1", "v2", "v3"]

_WINDOW_MS: Final = 300_000
_TIMESTAMP: Final = re.compile(r"[0-9]{1,15}", re.ASCII)
_DECODED: Final = re.compile(r"%(?:3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)
_MEND: Final = (
    "HubSpot signs the method, the URL as it was told (GTM_PUBLIC_URL and the path), the raw body and the time with "
    "the app's client secret, GTM_HUBSPOT_WEBHOOK_SECRET, as X-HubSpot-Signature-v3, within five minutes."
)
# What an event is about, by the first part of its type, or by its objectTypeId.
_OBJECTS: Final = {"company": "companies", "contact": "contacts", "deal": "deals"}
_OBJECT_TYPES: Final = {"0-1": "contacts", "0-2": "companies", "0-3": "deals"}
_CHANGES: Final = {"creation", "propertyChange", "deletion", "restore", "merge", "privacyDeletion", "associationChange"}
_IDENTITY: Final = (
    "portalId",
    "subscriptionId",
    "subscriptionType",
    "eventId",
    "objectId",
    "fromObjectId",
    "toObjectId",
    "propertyName",
    "occurredAt",
)


@dataclass(frozen=True)
class HubSpotCall:
    """A call as it came. `url` is the public one, that HubSpot was told, with its query."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


def verify_hubspot(call: HubSpotCall, secret: str, accepted: Collection[SignatureVersion], now: datetime) -> None:
    """Check the signature, of version 3 its age too (five minutes either way). A call with a signature of version 3 is
    judged by that one alone, where it is accepted.

    Args:
        secret: The app's client secret; several separated by spaces or commas while one is being replaced.

    Raises:
        GtmError: 401 `webhook-signature-invalid`, with one message whatever was wrong.
    """
    headers = {name.lower(): value for name, value in call.headers.items()}
    secrets = [one.encode() for one in secret.replace(",", " ").split()]
    if "v3" in accepted and "x-hubspot-signature-v3" in headers:
        is_signed = _is_recent(headers, now) and any([_is_signed_v3(one, call, headers) for one in secrets])
    else:
        version = headers.get("x-hubspot-signature-version", "v1")
        is_signed = version in ("v1", "v2") and version in accepted
        is_signed = is_signed and any([_is_signed_before(one, version, call, headers) for one in secrets])
    if not is_signed:
        raise refuse_signature(_MEND)


def read_hubspot_events(body: bytes) -> list[WebhookEvent]:
    """Every event of a verified call. One that makes no sense is `unreadable`: refusing the call would cost its other
    events a day of retries.

    Raises:
        InvalidRequest: not a JSON list of 1 to 100.
    """
    try:
        items = json.loads(body)
        if isinstance(items, list) and 0 < len(items) <= MAX_EVENTS:
            return [_to_event(item) for item in items]
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("The body must be JSON.") from error
    raise InvalidRequest(f"The body must be a list of 1 to {MAX_EVENTS} events.")


def _is_recent(headers: Mapping[str, str], now: datetime) -> bool:
    sent = headers.get("x-hubspot-request-timestamp", "")
    return _TIMESTAMP.fullmatch(sent) is not None and abs(now.timestamp() * 1000 - int(sent)) <= _WINDOW_MS


def _is_signed_v3(secret: bytes, call: HubSpotCall, headers: Mapping[str, str]) -> bool:
    """Over the URI with HubSpot's list of escapes decoded, or as it came: its own libraries decode none."""
    time = headers["x-hubspot-request-timestamp"].encode()
    given = headers["x-hubspot-signature-v3"].encode()
    expected = [
        base64.b64encode(hmac.digest(secret, call.method.encode() + uri.encode() + call.body + time, "sha256"))
        for uri in (call.url, _DECODED.sub(lambda found: chr(int(found[0][1:], 16)), call.url))
    ]
    return any([hmac.compare_digest(given, one) for one in expected])


def _is_signed_before(secret: bytes, version: str, call: HubSpotCall, headers: Mapping[str, str]) -> bool:
    """Versions 1 and 2 have no time: a call that somebody has recorded stays valid for ever."""
    signed = b"" if version == "v1" else call.method.encode() + call.url.encode()
    expected = hashlib.sha256(secret + signed + call.body).hexdigest().encode()
    return hmac.compare_digest(headers.get("x-hubspot-signature", "").encode(), expected)


def _to_event(item: Any) -> WebhookEvent:
    fields = item if isinstance(item, dict) else {}
    event_type = fields.get("subscriptionType")
    if not isinstance(event_type, str) or not event_type or not is_storable(event_type, MAX_TYPE_CHARS):
        return WebhookEvent(_to_id(item), "unreadable", ignored_for="unreadable")
    changes, ignored_for = _to_changes(event_type, fields)
    # eventId is not unique: an event is told apart by these together, and attemptNumber by none of its deliveries.
    event_id = _to_id([fields.get(name) for name in _IDENTITY])
    return WebhookEvent(event_id, event_type, _to_moment(fields.get("occurredAt")), None, changes, ignored_for)


def _to_id(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _to_changes(event_type: str, fields: Mapping[str, Any]) -> tuple[tuple[RecordChange, ...], Ignored | None]:
    """The records, by object; or why nothing follows."""
    prefix, _, what = event_type.partition(".")
    if what not in _CHANGES:
        return (), "unknown-type"
    named = _associated(prefix, fields) if what == "associationChange" else _changed(prefix, fields)
    known = [(name, value) for name, value in named if name is not None]
    if not known:
        return (), "unknown-object"
    ids: dict[str, dict[str, None]] = {}
    for name, value in known:
        if (one := _to_record_id(value)) is not None:
            ids.setdefault(name, {})[one] = None
    if not ids:
        return (), "unreadable"
    return tuple(RecordChange("hubspot", name, tuple(found)) for name, found in ids.items()), None


def _changed(prefix: str, fields: Mapping[str, Any]) -> list[tuple[str | None, Any]]:
    """A merge has made a new record of two, or let one take in others: whoever is gone becomes deleted when read."""
    name = _to_object(prefix, fields.get("objectTypeId"))
    merged = fields.get("mergedObjectIds")
    ids = [fields.get("objectId"), fields.get("primaryObjectId"), fields.get("newObjectId")]
    ids += merged if isinstance(merged, list) else []
    return [(name, one) for one in ids if one is not None] or [(name, None)]


def _associated(prefix: str, fields: Mapping[str, Any]) -> list[tuple[str | None, Any]]:
    """Both ends; `associationType` names them as CONTACT_TO_COMPANY."""
    start, _, end = str(fields.get("associationType", "")).lower().partition("_to_")
    return [
        (_to_object(start or prefix, fields.get("fromObjectTypeId")), fields.get("fromObjectId")),
        (_to_object(end, fields.get("toObjectTypeId")), fields.get("toObjectId")),
    ]


def _to_object(word: str, type_id: Any) -> str | None:
    """`type_id` counts where there is one: new subscriptions say `object.creation` for every object."""
    return _OBJECT_TYPES.get(type_id) if isinstance(type_id, str) else _OBJECTS.get(word)


def _to_record_id(value: Any) -> str | None:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    return text if isinstance(text, str) and is_record_id("hubspot", text) else None


def _to_moment(milliseconds: Any) -> datetime | None:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, tz=UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None  # it is only noted: what counts is what the CRM says when asked
