"""Outbound messages of Salesforce: SOAP, unsigned, up to 100 notifications a call.

Source: Salesforce's SOAP API guide, "Outbound Messaging". Salesforce repeats a message for a day until it is
acknowledged, delivers some twice and in any order; the id of a notification stays the same. What a message may hold
besides (a session id that could act for a user) is not looked at, kept or logged.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import Final
from xml.etree import ElementTree

from services.scoring.domain.webhooks import (
    MAX_EVENTS,
    MAX_TYPE_CHARS,
    RecordChange,
    WebhookEvent,
    is_record_id,
    is_storable,
    refuse_signature,
)
from shared.contracts import CHANGE_SOURCES
from shared.errors import GtmError, InvalidRequest

ACKNOWLEDGED: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>'
    '<notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack></notificationsResponse>'
    "</soapenv:Body></soapenv:Envelope>"
)
_MIN_TOKEN_CHARS: Final = 24
_ID_CHARS: Final = 15  # the part of an id that tells records apart; three more are its checksum
_ORGANIZATION: Final = re.compile(r"00D[A-Za-z0-9]{12}(?:[A-Za-z0-9]{3})?")
_SOAP: Final = "{http://schemas.xmlsoap.org/soap/envelope/}"
_OUTBOUND: Final = "{http://soap.sforce.com/2005/09/outbound}"
_TYPE: Final = "{http://www.w3.org/2001/XMLSchema-instance}type"
_MEND: Final = (
    "Salesforce signs no outbound message: the endpoint URL must end in `?token=` and GTM_SALESFORCE_WEBHOOK_TOKEN, "
    "and the message must come from the organisation that GTM_SALESFORCE_ORGANIZATION_ID names."
)


def require_salesforce_settings(token: str, organization_id: str) -> None:
    """Raises GtmError `webhook-secret-invalid`: the operator's mistake, not the caller's."""
    if len(token) < _MIN_TOKEN_CHARS or re.fullmatch(r"[A-Za-z0-9_-]+", token) is None:
        problem = "GTM_SALESFORCE_WEBHOOK_TOKEN: at least 24 letters and digits, e.g. from `openssl rand -hex 32`."
    elif _ORGANIZATION.fullmatch(organization_id) is None:
        problem = "GTM_SALESFORCE_ORGANIZATION_ID: 15 or 18 letters and digits that begin with 00D."
    else:
        return
    raise GtmError(problem, code="webhook-secret-invalid", title="The webhook secret can't be used", status=500)


def verify_token(given: Iterable[str], token: str) -> None:
    """The URL's secret part, once. Raises GtmError 401 `webhook-signature-invalid`, one message whatever was wrong."""
    tokens = list(given)
    if len(tokens) != 1 or not hmac.compare_digest(tokens[0].encode(), token.encode()):
        raise refuse_signature(_MEND)


def read_outbound_message(body: bytes, organization_id: str) -> list[WebhookEvent]:
    """Every notification of a message that came with the right token. One that makes no sense is `unreadable`, so that
    the others are not sent again for a day.

    Raises:
        GtmError: 401 `webhook-signature-invalid`: another organisation's.
        InvalidRequest: no outbound message, or more than 100 notifications.
    """
    try:
        root = ElementTree.fromstring(body, ElementTree.XMLParser(target=_NoDoctype()))
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise InvalidRequest("The body must be the SOAP of an outbound message, without a document type.") from error
    notifications = root.find(f"{_SOAP}Body/{_OUTBOUND}notifications")
    if root.tag != f"{_SOAP}Envelope" or notifications is None:
        raise InvalidRequest(
            "The body must be a SOAP envelope with `notifications` of Salesforce's outbound messaging."
        )
    sender = (notifications.findtext(f"{_OUTBOUND}OrganizationId") or "").strip()
    is_ours = hmac.compare_digest(sender[:_ID_CHARS].encode(), organization_id[:_ID_CHARS].encode())
    if not is_ours or _ORGANIZATION.fullmatch(sender) is None:
        raise refuse_signature(_MEND)
    found = notifications.findall(f"{_OUTBOUND}Notification")
    if not 0 < len(found) <= MAX_EVENTS:
        raise InvalidRequest(f"Notification: {len(found)} of them; 1 to {MAX_EVENTS} are taken.")
    return [_to_event(one) for one in found]


class _NoDoctype(ElementTree.TreeBuilder):
    """SOAP forbids document types, and with them go entities that refer to files or grow without bound."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise ValueError("a document type")


def _to_event(notification: ElementTree.Element) -> WebhookEvent:
    event_id = (notification.findtext(f"{_OUTBOUND}Id") or "").strip()
    record = notification.find(f"{_OUTBOUND}sObject")
    name = record.get(_TYPE, "").rpartition(":")[2] if record is not None else ""
    if record is None or not is_record_id("salesforce", event_id) or not name or not is_storable(name, MAX_TYPE_CHARS):
        parts = "\x1f".join(f"{part.tag}={part.text}" for part in notification.iter())  # `tostring` recurses
        digest = hashlib.sha256(parts.encode()).hexdigest()
        return WebhookEvent(digest, "unreadable", ignored_for="unreadable")
    if name not in CHANGE_SOURCES["salesforce"].objects:
        return WebhookEvent(event_id, name, ignored_for="unknown-object")
    record_id = next((child.text or "" for child in record if child.tag.endswith("}Id")), "").strip()
    if not is_record_id("salesforce", record_id):
        return WebhookEvent(event_id, name, ignored_for="unreadable")
    return WebhookEvent(event_id, name, changes=(RecordChange("salesforce", name, (record_id,)),))
