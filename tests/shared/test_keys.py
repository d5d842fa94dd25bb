"""API keys as text: what is a key, and what is none."""

import hashlib
from datetime import timedelta

import pytest

from shared.access import keys
from shared.access.keys import (
    check_name,
    check_scopes,
    implied_scopes,
    is_secret_of,
    mint_key,
    parse_key,
    parse_lifetime,
)
from shared.errors import InvalidRequest

KEY = "gtm_k7x2mq4znb3a_" + "A" * 43


def test_a_minted_key_is_read_back_and_only_its_hash_is_told() -> None:
    minted = mint_key()
    given = parse_key(minted.text)
    assert given is not None and given.key_id == minted.key_id
    assert minted.secret_hash == hashlib.sha256(given.secret.encode()).hexdigest()
    assert is_secret_of(given.secret, minted.secret_hash)
    assert given.secret not in repr(minted) + repr(given) and minted.secret_hash not in repr(minted)
    assert len({mint_key().text for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "text",
    [
        "",
        "gtm_",
        KEY[:-1],
        KEY + "A",
        KEY + "\n",
        " " + KEY,
        KEY.upper(),
        KEY.replace("gtm_", "gtx_"),
        KEY.replace("k7", "k1"),
        KEY[:-1] + "=",
        KEY[:-1] + "é",
        KEY[:-1] + "\x00",
        KEY.replace("_", "-"),
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.",
        "' or 1=1 --",
    ],
    ids=range(15),
)
def test_what_is_nearly_a_key_is_none(text: str) -> None:
    assert parse_key(KEY) is not None
    assert parse_key(text) is None


def test_every_comparison_is_whole_and_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[str, str]] = []
    real = keys.hmac.compare_digest  # type: ignore[attr-defined]  # the module's own import

    def watched(left: str, right: str) -> bool:
        compared.append((left, right))
        return bool(real(left, right))

    monkeypatch.setattr("shared.access.keys.hmac.compare_digest", watched)
    stored = hashlib.sha256(b"right").hexdigest()
    assert [is_secret_of("right", stored), is_secret_of("wrong", stored), is_secret_of("any", None)] == [1, 0, 0]
    assert [(len(left), len(right)) for left, right in compared] == [(64, 64)] * 3


def test_what_a_scope_implies() -> None:
    assert implied_scopes(["admin"]) == {"admin", "read", "run"}
    assert implied_scopes(["run"]) == {"run"}
    assert implied_scopes(["webhook"]) == {"webhook"}


@pytest.mark.parametrize(
    "text", ["", "0d", "d", "90", "90m", "-1d", "1.5d", "90 d", "3661d", "99999w", "٣d"], ids=ascii
)
def test_a_lifetime_that_makes_no_sense_is_refused(text: str) -> None:
    assert parse_lifetime("90d") == timedelta(days=90) and parse_lifetime("12h") == timedelta(hours=12)
    with pytest.raises(InvalidRequest, match="lifetime"):
        parse_lifetime(text)


@pytest.mark.parametrize("name", ["", "cli", "local", "anonymous", "ann@example.com", "Nightly", "a b", "a" * 64, "-a"])
def test_a_name_is_no_actor_of_ours_and_no_address(name: str) -> None:
    assert check_name("nightly-sync_2.eu") == "nightly-sync_2.eu"
    with pytest.raises(InvalidRequest, match="name"):
        check_name(name)


@pytest.mark.parametrize("scopes", [(), ("write",), ("read", "*")], ids=["none", "unknown", "star"])
def test_a_scope_that_is_none_is_refused(scopes: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRequest, match="read, run, admin, webhook"):
        check_scopes(scopes)
