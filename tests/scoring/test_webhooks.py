"""Signatures of the generic webhook source, against the vector of the Standard Webhooks reference library."""

import json
from datetime import UTC, datetime, tzinfo

import pytest
import standardwebhooks.webhooks
from standardwebhooks.webhooks import Webhook

from services.scoring.domain.standard_webhooks import verify_standard_webhook
from shared.errors import GtmError, InvalidRequest

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VECTOR = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
VECTOR_BODY = b'{"test": 2432232314}'
SENT_AT = datetime(2021, 2, 25, 15, 2, 10, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's clock stands at the vector's time."""

    class Frozen(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Frozen":
            return cls.fromtimestamp(SENT_AT.timestamp(), tz)

    monkeypatch.setattr(standardwebhooks.webhooks, "datetime", Frozen)


def signed(body: bytes, *, secret: str = SECRET, at: float = 0, event_id: str = "msg_1") -> dict[str, str]:
    sent = datetime.fromtimestamp(SENT_AT.timestamp() + at, tz=UTC)
    signature = Webhook(secret).sign(event_id, sent, body.decode())
    return {"Webhook-Id": event_id, "Webhook-Timestamp": str(int(sent.timestamp())), "Webhook-Signature": signature}


def test_the_published_vector_is_accepted_as_signed() -> None:
    with pytest.raises(InvalidRequest, match="type"):  # past the signature: its body just isn't an event of ours
        verify_standard_webhook(SECRET, VECTOR, VECTOR_BODY)


def test_an_account_event_is_read() -> None:
    body = json.dumps({"type": "account.changed", "account_id": "hubspot:1"}).encode()
    event = verify_standard_webhook(SECRET, signed(body), body)
    assert (event.event_id, event.account_id, event.event_type) == ("msg_1", "hubspot:1", "account.changed")
    assert event.occurred_at == SENT_AT


def test_an_unknown_type_is_there_to_be_acknowledged() -> None:
    body = b'{"type": "contact.created", "account_id": "hubspot:1"}'
    assert verify_standard_webhook(SECRET, signed(body), body).account_id is None


def test_a_secret_may_be_replaced_without_a_gap() -> None:
    body = b'{"type": "account.changed", "account_id": "a"}'
    new = "whsec_" + "bmV3LXNlY3JldC1uZXctc2VjcmV0LW5ldw=="
    for used in (SECRET, new):
        assert verify_standard_webhook(f"{new} {SECRET}", signed(body, secret=used), body).account_id == "a"


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-signature": "v1"},
        {"webhook-signature": "garbage"},
        {"webhook-signature": "v1,a,b"},
        {"webhook-signature": "v1,!!!"},
        {"webhook-signature": "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
        {"webhook-signature": ""},
        {"webhook-timestamp": "nan"},
        {"webhook-timestamp": "1e400"},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "1614265331"},
        {"webhook-id": "msg_other"},
    ],
)
def test_whatever_is_wrong_the_answer_is_the_same(change: dict[str, str]) -> None:
    _refused({**VECTOR, **change}, VECTOR_BODY)


@pytest.mark.parametrize("body", [b"\xff\xfe", b"", b'{"test": 2432232315}'])
def test_another_body_is_refused(body: bytes) -> None:
    _refused(VECTOR, body)


def test_no_headers_at_all() -> None:
    _refused({}, VECTOR_BODY)


@pytest.mark.parametrize("at", [-301, 301])
def test_five_minutes_either_way(at: float) -> None:
    body = b'{"type": "account.changed", "account_id": "a"}'
    _refused(signed(body, at=at), body)
    assert verify_standard_webhook(SECRET, signed(body, at=at * 0.99), body).account_id == "a"


def _refused(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(GtmError) as raised:
        verify_standard_webhook(SECRET, headers, body)
    assert (raised.value.status, raised.value.code) == (401, "webhook-signature-invalid")
    assert raised.value.detail.startswith("The signature does not fit.")


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"no json",
        b"[" * 100_000,
        b"{}",
        b'{"type": 1}',
        b'{"type": "account.changed"}',
        b'{"type": "account.changed", "account_id": ""}',
    ],
)
def test_well_signed_nonsense_is_the_senders_mistake(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        verify_standard_webhook(SECRET, signed(body), body)


def changed(**fields: object) -> bytes:
    body = {"type": "record.changed", "source": "hubspot", "object": "companies", "record_ids": ["1"]}
    return json.dumps({**body, **fields}).encode()


def test_a_record_event_names_its_records_once() -> None:
    body = changed(record_ids=["2", "1", "2"])
    event = verify_standard_webhook(SECRET, signed(body), body)
    assert event.account_id is None and event.ignored_for is None
    (change,) = event.changes
    assert (change.source, change.object, change.record_ids) == ("hubspot", "companies", ("2", "1"))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"source": "pipedrive"}, "unknown-source"),
        ({"object": "tickets", "record_ids": "no list"}, "unknown-object"),
        ({"source": "salesforce", "object": "Company"}, "unknown-object"),
        ({"type": "record.created"}, "unknown-type"),
    ],
)
def test_what_nobody_reads_is_there_to_be_acknowledged(fields: dict[str, object], reason: str) -> None:
    body = changed(**fields)
    event = verify_standard_webhook(SECRET, signed(body), body)
    assert (event.changes, event.ignored_for) == ((), reason)


@pytest.mark.parametrize(
    "fields",
    [
        {"source": 1},
        {"object": None},
        {"record_ids": None},
        {"record_ids": []},
        {"record_ids": ["1"] * 1001},
        {"record_ids": ["1", "1; drop table"]},
        {"record_ids": [1]},
        {"record_ids": ["1\n"]},
        {"source": "salesforce", "object": "Account", "record_ids": ["0010000000000"]},
    ],
)
def test_record_events_that_can_not_be_one_are_the_senders_mistake(fields: dict[str, object]) -> None:
    body = changed(**fields)
    with pytest.raises(InvalidRequest, match="^(source|record_ids)"):
        verify_standard_webhook(SECRET, signed(body), body)


_CONTROL = ["a\0", "a\n", "\x7f", "\x9f", "\ud800"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("type", value) for value in ["x" * 129, *_CONTROL]),
        *(("account_id", value) for value in ["x" * 201, "x" * 256, *_CONTROL]),
        *(("webhook-id", value) for value in ["x" * 256, *_CONTROL[:-1]]),  # a header can't carry half a pair
    ],
)
def test_what_the_database_could_not_store_is_refused_by_its_name(field: str, value: str) -> None:
    body, event_id = {"type": "account.changed", "account_id": "hubspot:1"}, "msg_1"
    if field == "webhook-id":
        event_id = value
    else:
        body[field] = value
    raw = json.dumps(body).encode()
    with pytest.raises(InvalidRequest, match=f"^{field}: ") as raised:
        verify_standard_webhook(SECRET, signed(raw, event_id=event_id), raw)
    assert (raised.value.status, raised.value.code) == (422, "invalid-request")


def test_the_longest_of_each_is_taken_in_any_script() -> None:
    account_id, event_id = "ä語🚚" + "x" * 197, "m" * 255
    raw = json.dumps({"type": "account.changed", "account_id": account_id}).encode()
    event = verify_standard_webhook(SECRET, signed(raw, event_id=event_id), raw)
    assert (event.account_id, event.event_id) == (account_id, event_id)
    raw = json.dumps({"type": "t" * 128}).encode()
    assert verify_standard_webhook(SECRET, signed(raw), raw).event_type == "t" * 128


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_a", "geheim", "whsec_YQ==", SECRET.removeprefix("whsec_")])
def test_an_unusable_secret_is_the_operators_mistake(secret: str) -> None:
    with pytest.raises(GtmError) as raised:
        verify_standard_webhook(secret, VECTOR, VECTOR_BODY)
    assert raised.value.code == "webhook-secret-invalid"
