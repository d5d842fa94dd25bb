"""API keys as text: `gtm_<key id>_<secret>`. Pure: no clock, no rows.

The id finds the row and stands in lists and logs: it is no secret. The secret is 32 random bytes, of which SHA-256 is
stored: slow hashes are for what people think up, and nobody guesses 256 random bits back.
"""

import hashlib
import hmac
import re
import secrets
import string
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Literal, get_args

from shared.errors import InvalidRequest

Scope = Literal["read", "run", "admin", "webhook"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)

_FORM: Final = re.compile(r"gtm_([a-z2-7]{12})_([A-Za-z0-9_-]{43})")
_ID_LETTERS: Final = string.ascii_lowercase + "234567"
_ID_LENGTH: Final = 12
_SECRET_BYTES: Final = 32
_HASH_OF_NONE: Final = "0" * 64  # of no secret: what an unknown id is compared with

# No @ and no space: an e-mail address or a person's name is no name of a key (the audit log holds no personal data).
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_OURS: Final = frozenset({"anonymous", "cli", "local", "watched-folder", "webhook"})
"""Actors of the audit log that are no keys."""

_LIFETIME: Final = re.compile(r"([1-9][0-9]{0,4})([hdw])")
_UNITS: Final = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_LONGEST: Final = timedelta(days=3660)


@dataclass(frozen=True)
class MintedKey:
    """A new key. `text` is shown once and stored nowhere."""

    key_id: str
    text: str = field(repr=False)
    secret_hash: str = field(repr=False)


@dataclass(frozen=True)
class GivenKey:
    """A key as a caller sent it: of the right form, and nothing more is known of it."""

    key_id: str
    secret: str = field(repr=False)


def mint_key() -> MintedKey:
    """A key that nobody has had before."""
    key_id = "".join(secrets.choice(_ID_LETTERS) for _ in range(_ID_LENGTH))
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    return MintedKey(key_id, f"gtm_{key_id}_{secret}", hash_secret(secret))


def parse_key(text: str) -> GivenKey | None:
    """None for anything that is not of a key's form, to the letter."""
    match = _FORM.fullmatch(text)
    return GivenKey(match[1], match[2]) if match else None


def hash_secret(secret: str) -> str:
    """SHA-256, hexadecimal, of the secret as it is written in the key."""
    return hashlib.sha256(secret.encode()).hexdigest()


def is_secret_of(secret: str, stored_hash: str | None) -> bool:
    """Compares as long for a wrong secret as for the right one, and as long where there is no such key (None).

    The look-up before it tells by its time whether an id was used a moment ago. Ids are no secret.
    """
    is_same = hmac.compare_digest(hash_secret(secret), stored_hash or _HASH_OF_NONE)
    return is_same and stored_hash is not None


def implied_scopes(scopes: Iterable[Scope]) -> frozenset[Scope]:
    """What a key with these may do: `admin` reads and runs as well. Nothing implies `webhook`: a sender's key opens
    the sender's door alone, and no other key opens it."""
    given = frozenset(scopes)
    return given | {"read", "run"} if "admin" in given else given


def check_name(name: str) -> str:
    """Raises InvalidRequest `key-invalid`."""
    if not _NAME.fullmatch(name) or name in _OURS:
        raise _invalid(
            f"{name!r} can't be a key's name. Name what will use it, such as nightly-sync: up to 63 of a-z, 0-9 and "
            f"`.`, `_`, `-`, and none of {', '.join(sorted(_OURS))}."
        )
    return name


def known_scopes(scopes: Iterable[str]) -> frozenset[Scope]:
    """Of a stored key: a later release may have made it with scopes that open nothing here, and after the way back it
    must still be listed, refused and revoked."""
    given = frozenset(scopes)
    return frozenset(scope for scope in SCOPES if scope in given)


def check_scopes(scopes: Iterable[str]) -> frozenset[Scope]:
    """Raises InvalidRequest `key-invalid`."""
    given = frozenset(scopes)
    known = known_scopes(given)
    if not given or known != given:
        wrong = (
            f"{', '.join(sorted(given - known))}: no such scope." if given else "A key without a scope opens nothing."
        )
        raise _invalid(f"{wrong} Give one or more of {', '.join(SCOPES)}.")
    return known


def parse_lifetime(text: str) -> timedelta:
    """`12h`, `90d`, `52w`; ten years at most.

    Raises:
        InvalidRequest: `key-invalid`.
    """
    match = _LIFETIME.fullmatch(text)
    lifetime = int(match[1]) * _UNITS[match[2]] if match else _LONGEST * 2
    if lifetime > _LONGEST:
        raise _invalid(f"{text!r} is no lifetime of a key. Give hours, days or weeks, such as 12h, 90d or 52w.")
    return lifetime


def _invalid(detail: str) -> InvalidRequest:
    return InvalidRequest(detail, code="key-invalid", title="A key like this can't be made")
