"""Signed events of the generic source (Standard Webhooks 1.0): an account, or records of a CRM.

The library raises ValueError and UnicodeDecodeError for garbage, which unguarded would let anyone cause a 500.
"""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from standardwebhooks.webhooks import Webhook

from services.scoring.domain.webhooks import (
    MAX_TYPE_CHARS,
    Ignored,
    RecordChange,
    WebhookEvent,
    has_control_characters,
    is_record_id,
    refuse_signature,
)
from shared.contracts import CHANGE_SOURCES
from shared.errors import GtmError, InvalidRequest

ACCOUNT_CHANGED = "account.changed"
RECORD_CHANGED = "record.changed"
_MIN_KEY_BYTES, _MAX_KEY_BYTES = 24, 64  # Standard Webhooks 1.0
_MAX_ID_CHARS = 200  # as shared.contracts.AccountScope has it
_MAX_EVENT_ID_CHARS = 255
_MAX_RECORDS = 1_000


def verify_standard_webhook(secret: str, headers: Mapping[str, str], body: bytes) -> WebhookEvent:
    """Check signature and age (five minutes either way), then read the event.

    Args:
        secret: `whsec_...`; several separated by spaces or commas while one is being replaced.

    Raises:
        GtmError: 401 `webhook-signature-invalid`, with one message whatever was wrong.
        InvalidRequest: well signed, but not JSON of a `type`, or `account.changed` without an `account_id`, or
            `record.changed` without a `source`, an `object` or proper `record_ids`, or one of them or the `webhook-id`
            is too long or holds control characters.
    """
    received = {name.lower(): value for name, value in headers.items()}
    secrets = secret.replace(",", " ").split() or [""]
    if not any([_is_signed(one, received, body) for one in secrets]):
        raise refuse_signature(
            "Sign `<webhook-id>.<webhook-timestamp>.<body>` with the shared secret (Standard Webhooks 1.0), within "
            "five minutes."
        )
    payload = _parse_payload(body)
    change, ignored_for = _parse_change(payload)
    return WebhookEvent(
        event_id=_require_storable("webhook-id", received["webhook-id"], _MAX_EVENT_ID_CHARS),
        occurred_at=datetime.fromtimestamp(float(received["webhook-timestamp"]), tz=UTC),
        account_id=_parse_account_id(payload),
        event_type=_require_storable("type", payload["type"], MAX_TYPE_CHARS),
        changes=(change,) if change is not None else (),
        ignored_for=ignored_for,
    )


def _is_signed(secret: str, headers: dict[str, str], body: bytes) -> bool:
    webhook = Webhook(_require_strong(secret))
    try:
        webhook.verify(body, headers, json_parse=False)
    except Exception:  # noqa: B902  # the library's errors are many, the answer is one: not signed
        return False
    return True


def _require_strong(secret: str) -> str:
    """The library takes any base64, also a key of one byte. It's the operator's mistake, not the caller's."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if not secret.startswith("whsec_") or not _MIN_KEY_BYTES <= len(key) <= _MAX_KEY_BYTES:
        raise GtmError(
            "GTM_WEBHOOK_SECRET is no Standard Webhooks secret: whsec_ and the base64 of 24 to 64 random bytes.",
            code="webhook-secret-invalid",
            title="The webhook secret can't be used",
            status=500,
        )
    return secret


def _parse_payload(body: bytes) -> dict[str, Any]:
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("The body must be JSON.") from error
    if not isinstance(payload, dict) or not isinstance(payload.get("type"), str):
        raise InvalidRequest('type: a text, such as {"type": "account.changed", "account_id": "..."}.')
    return payload


def _parse_account_id(payload: Mapping[str, Any]) -> str | None:
    if payload["type"] != ACCOUNT_CHANGED:
        return None
    account_id = payload.get("account_id")
    if not isinstance(account_id, str) or not account_id:
        raise InvalidRequest("account_id: a text, the account's id in analytics.dim_accounts.")
    return _require_storable("account_id", account_id, _MAX_ID_CHARS)


def _parse_change(payload: Mapping[str, Any]) -> tuple[RecordChange | None, Ignored | None]:
    """The change, or why nothing follows from the event."""
    if payload["type"] == ACCOUNT_CHANGED:
        return None, None
    if payload["type"] != RECORD_CHANGED:
        return None, "unknown-type"
    source, name, ids = payload.get("source"), payload.get("object"), payload.get("record_ids")
    if not isinstance(source, str) or not isinstance(name, str):
        raise InvalidRequest('source, object: texts, such as {"source": "hubspot", "object": "companies"}.')
    if (known := CHANGE_SOURCES.get(source)) is None:
        return None, "unknown-source"
    if name not in known.objects:
        return None, "unknown-object"
    if not isinstance(ids, list) or not 0 < len(ids) <= _MAX_RECORDS:
        raise InvalidRequest(f"record_ids: a list of 1 to {_MAX_RECORDS} ids of {source}'s {name}.")
    for place, one in enumerate(ids):
        if not isinstance(one, str) or not is_record_id(source, one):
            raise InvalidRequest(
                f"record_ids[{place}]: no id of {source}. Its ids are texts that look like this: "
                f"{known.record_id.pattern}"
            )
    return RecordChange(source, name, tuple(dict.fromkeys(ids))), None


def _require_storable(field_name: str, text: str, most_chars: int) -> str:
    if len(text) > most_chars:
        raise InvalidRequest(f"{field_name}: {len(text)} characters, at most {most_chars} are taken.")
    if has_control_characters(text):
        raise InvalidRequest(f"{field_name}: holds a control character. Send printable text.")
    return text
