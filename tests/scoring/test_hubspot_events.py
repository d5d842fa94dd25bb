"""HubSpot's webhooks, against the vectors of its own documentation: who sent them, and what they are about."""

import base64
import hashlib
import hmac
import json
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.scoring.domain.hubspot_events import HubSpotCall, SignatureVersion, read_hubspot_events, verify_hubspot
from services.scoring.domain.webhooks import WebhookEvent
from shared.errors import GtmError, InvalidRequest

SECRET = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
URL = "https://www.example.com/webhook_uri"
BODY = b"{'example_field':'example_value'}"
SENT_MS = 1693657560000
NOW = datetime.fromtimestamp(SENT_MS / 1000, UTC)
V3 = {
    "X-HubSpot-Signature-v3": "K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y=",
    "X-HubSpot-Request-Timestamp": str(SENT_MS),
}
CALL = HubSpotCall("POST", URL, V3, BODY)
V1_BODY = (
    b'[{"eventId":1,"subscriptionId":12345,"portalId":62515,"occurredAt":1564113600000,'
    b'"subscriptionType":"contact.creation","attemptNumber":0,"objectId":123,"changeSource":"CRM","changeFlag":"NEW",'
    b'"appId":54321}]'
)
V1 = {"X-HubSpot-Signature": "232db2615f3d666fe21a8ec971ac7b5402d33b9a925784df3ca654d05f4817de"}
V2 = {
    "X-HubSpot-Signature": "4fe4e3a7d3cf09db53be39d0a58130e2aaba074ec123a9e355b876a689a1c383",
    "X-HubSpot-Signature-Version": "v2",
}


def verify(
    call: HubSpotCall, *, accepted: Collection[SignatureVersion] = ("v3",), secret: str = SECRET, now: datetime = NOW
) -> None:
    verify_hubspot(call, secret, accepted, now)


def refused(call: HubSpotCall, **how: Any) -> None:
    with pytest.raises(GtmError) as raised:
        verify(call, **how)
    assert (raised.value.status, raised.value.code) == (401, "webhook-signature-invalid")
    assert raised.value.detail.startswith("The signature does not fit. HubSpot signs")


def sign(body: bytes, url: str = URL, sent_ms: int = SENT_MS) -> dict[str, str]:
    """Version 3, as HubSpot documents it."""
    digest = hmac.digest(SECRET.encode(), b"POST" + url.encode() + body + str(sent_ms).encode(), "sha256")
    return {"x-hubspot-signature-v3": base64.b64encode(digest).decode(), "x-hubspot-request-timestamp": str(sent_ms)}


def test_the_published_vectors_are_accepted_where_their_version_is() -> None:
    verify(CALL)
    one, two = HubSpotCall("POST", URL, V1, V1_BODY), HubSpotCall("POST", URL, V2, BODY)
    verify(one, accepted=("v1",))
    verify(two, accepted=("v2", "v3"))
    for call, others in ((one, ("v2", "v3")), (two, ("v1", "v3"))):
        refused(call, accepted=others)
    refused(CALL, accepted=("v1", "v2"))


@pytest.mark.parametrize(
    "change",
    [
        {"X-HubSpot-Signature-v3": ""},
        {"X-HubSpot-Signature-v3": "K36dawei4A"},
        {"X-HubSpot-Signature-v3": "\xff\xfe"},
        {"X-HubSpot-Signature-v3": "K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y= "},
        {"X-HubSpot-Request-Timestamp": ""},
        {"X-HubSpot-Request-Timestamp": "nan"},
        {"X-HubSpot-Request-Timestamp": "1e400"},
        {"X-HubSpot-Request-Timestamp": f"+{SENT_MS}"},
        {"X-HubSpot-Request-Timestamp": f" {SENT_MS}"},
        {"X-HubSpot-Request-Timestamp": "9" * 400},
        {"X-HubSpot-Request-Timestamp": "١٦٩٣٦٥٧٥٦٠٠٠٠"},
        {"X-HubSpot-Request-Timestamp": str(SENT_MS + 1)},
    ],
)
def test_whatever_is_wrong_the_answer_is_the_same(change: dict[str, str]) -> None:
    refused(replace(CALL, headers={**V3, **change}))


def test_each_part_is_signed() -> None:
    for changed in (
        replace(CALL, method="PUT"),
        replace(CALL, url=URL + "?a=b"),
        replace(CALL, url=URL.replace("https", "http")),
        replace(CALL, body=BODY + b" "),
        replace(CALL, body=b"\xff\xfe"),
        replace(CALL, headers={}),
    ):
        refused(changed)
    refused(CALL, secret="another")
    refused(CALL, secret="")
    verify(CALL, secret=f"new-one, {SECRET}")


@pytest.mark.parametrize("seconds", [-301, 301])
def test_five_minutes_either_way(seconds: int) -> None:
    refused(CALL, now=NOW + timedelta(seconds=seconds))
    verify(CALL, now=NOW + timedelta(seconds=seconds * 0.99))


def test_an_older_signature_beside_a_false_one_of_version_3_opens_nothing() -> None:
    headers = {**V1, **sign(V1_BODY)}
    verify(HubSpotCall("POST", URL, headers, V1_BODY), accepted=("v1", "v3"))
    forged = {**headers, "x-hubspot-signature-v3": "AAAA"}
    refused(HubSpotCall("POST", URL, forged, V1_BODY), accepted=("v1", "v3"))


def test_the_characters_of_hubspots_table_are_decoded_before_signing() -> None:
    told, decoded = f"{URL}?a=%2Fx%3a%40b%25", f"{URL}?a=/x:@b%25"
    for signed in (told, decoded):
        verify(HubSpotCall("POST", told, sign(b"[]", signed), b"[]"))
    refused(HubSpotCall("POST", decoded, sign(b"[]", told), b"[]"))


def event(**fields: Any) -> dict[str, Any]:
    return {
        "eventId": 1,
        "subscriptionId": 12345,
        "portalId": 62515,
        "occurredAt": 1564113600000,
        "subscriptionType": "company.propertyChange",
        "attemptNumber": 0,
        "objectId": 123,
        "propertyName": "name",
        "propertyValue": "x",
        **fields,
    }


def read(*items: Any) -> list[WebhookEvent]:
    return read_hubspot_events(json.dumps(items).encode())


def named(one: WebhookEvent) -> dict[str, tuple[str, ...]]:
    assert all(change.source == "hubspot" for change in one.changes)
    return {change.object: change.record_ids for change in one.changes}


def test_an_event_names_its_record_and_its_moment() -> None:
    (one,) = read(event())
    assert named(one) == {"companies": ("123",)} and one.ignored_for is None
    assert (one.event_type, one.occurred_at) == ("company.propertyChange", datetime(2019, 7, 26, 4, tzinfo=UTC))


@pytest.mark.parametrize(
    ("fields", "records"),
    [
        ({"subscriptionType": "contact.creation"}, {"contacts": ("123",)}),
        ({"subscriptionType": "deal.deletion", "objectId": "9"}, {"deals": ("9",)}),
        ({"subscriptionType": "contact.privacyDeletion"}, {"contacts": ("123",)}),
        ({"subscriptionType": "object.creation", "objectTypeId": "0-3"}, {"deals": ("123",)}),
        (
            {"subscriptionType": "contact.merge", "primaryObjectId": 1, "mergedObjectIds": [2, 3], "newObjectId": 4}
            | {"objectId": None},
            {"contacts": ("1", "4", "2", "3")},
        ),
        (
            {"subscriptionType": "contact.associationChange", "associationType": "CONTACT_TO_COMPANY"}
            | {"fromObjectId": 7, "toObjectId": 8, "objectId": None},
            {"contacts": ("7",), "companies": ("8",)},
        ),
        (
            {"subscriptionType": "deal.associationChange", "associationType": "DEAL_TO_TICKET"}
            | {"fromObjectId": 7, "toObjectId": 8},
            {"deals": ("7",)},
        ),
        (
            {"subscriptionType": "object.associationChange", "fromObjectTypeId": "0-1", "toObjectTypeId": "0-2"}
            | {"fromObjectId": 7, "toObjectId": 8},
            {"contacts": ("7",), "companies": ("8",)},
        ),
    ],
)
def test_kinds_of_events(fields: dict[str, Any], records: dict[str, tuple[str, ...]]) -> None:
    (one,) = read(event(**fields))
    assert named(one) == records


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (event(subscriptionType="ticket.creation"), "unknown-object"),
        (event(subscriptionType="object.creation", objectTypeId="2-123"), "unknown-object"),
        (event(subscriptionType="company.renamed"), "unknown-type"),
        (event(subscriptionType="conversation.newMessage"), "unknown-type"),
        (event(subscriptionType=7), "unreadable"),
        (event(subscriptionType="a\0b"), "unreadable"),
        (event(subscriptionType="company." + "x" * 128), "unreadable"),
        (event(objectId=None), "unreadable"),
        (event(objectId=True), "unreadable"),
        (event(objectId="1; drop"), "unreadable"),
        (event(objectId=10**30), "unreadable"),
        (event(objectId=[1]), "unreadable"),
        ("text", "unreadable"),
        (None, "unreadable"),
    ],
)
def test_what_nobody_can_use_does_not_cost_the_others_of_its_call(item: Any, reason: str) -> None:
    first, odd, last = read(event(), item, event(eventId=2))
    assert (odd.changes, odd.ignored_for) == ((), reason)
    assert first.ignored_for is last.ignored_for is None and len({first.event_id, odd.event_id, last.event_id}) == 3


@pytest.mark.parametrize("moment", [None, "soon", float("nan"), 10**400, -(10**17), [1]])
def test_a_moment_that_is_none_is_left_out(moment: Any) -> None:
    (one,) = read(event(occurredAt=moment))
    assert one.occurred_at is None and one.changes


def test_an_event_is_told_apart_by_all_that_names_it_and_not_by_its_delivery() -> None:
    first, again = read(event(), event(attemptNumber=3, propertyValue="REDACTED"))
    assert first.event_id == again.event_id
    others = read(
        *(
            event(**{name: 99})
            for name in ("eventId", "subscriptionId", "portalId", "objectId", "propertyName", "occurredAt")
        )
    )
    assert len({one.event_id for one in others} | {first.event_id}) == 7, "eventId alone is not unique"


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"\xff", b"[" * 200_000, json.dumps([{}] * 101).encode(), b"[" + b"9" * 5000 + b"]"]
)
def test_well_signed_nonsense_is_the_senders_mistake(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read_hubspot_events(body)


def test_a_full_call_is_taken() -> None:
    assert len({one.event_id for one in read(*(event(objectId=number) for number in range(100)))}) == 100


def test_version_1_needs_no_more_than_the_digest_of_secret_and_body() -> None:
    """So whoever has recorded a call can send it again: it is accepted by setting only, and events are stored once."""
    headers = {"x-hubspot-signature": hashlib.sha256(SECRET.encode() + b"[]").hexdigest()}
    verify(HubSpotCall("POST", URL, headers, b"[]"), accepted=("v1",), now=NOW + timedelta(days=400))
