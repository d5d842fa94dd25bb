"""What is written down of a caller: an IP address, whatever a proxy or a caller names, and the key that was tried."""

from types import SimpleNamespace

import pytest
from starlette.requests import Request

from shared.access.audit import AuditEvent
from shared.access.callers import Caller
from shared.access.refusals import Unauthorised
from shared.http.access import caller_address, note_refusal


@pytest.mark.parametrize(
    ("named", "kept"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::1%jane.doe@example.com", "::1"),
        ("fe80::1%" + "a" * 80, "fe80::1"),
        ("fe80::1%" + "a" * 30_000, None),
        ("::ffff:192.0.2.7", "::ffff:c000:207"),
        ("unknown", None),
        ("", None),
    ],
    ids=["v4", "v6", "zone", "text", "long", "longer", "mapped", "name", "empty"],
)
def test_an_address_is_one_and_no_text_beside_it(named: str, kept: str | None) -> None:
    assert caller_address(Request({"type": "http", "client": (named, 1234)})) == kept


def test_who_has_no_address_has_none() -> None:
    assert caller_address(Request({"type": "http", "client": None})) is None


@pytest.mark.parametrize("tried", [Caller("anonymous", key_id="k7x2mq4znb3a", address="192.0.2.7"), None])
def test_a_refusal_is_noted_with_the_key_that_was_tried(tried: Caller | None) -> None:
    noted: list[AuditEvent] = []
    app = SimpleNamespace(state=SimpleNamespace(recorder=SimpleNamespace(note_refusal=noted.append)))
    request = Request({"type": "http", "client": ("192.0.2.7", 1), "app": app})
    note_refusal(request, Unauthorised("No such key.", caller=tried))
    assert [event.caller for event in noted] == [tried or Caller("anonymous", address="192.0.2.7")]
