"""What is written down as a caller's address is an IP address, whatever a proxy or a caller names."""

import pytest
from starlette.requests import Request

from shared.http.access import caller_address


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
