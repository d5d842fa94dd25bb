"""Whoever does something, as far as the house knows."""

from dataclasses import dataclass
from typing import Final

from shared.access.keys import Scope

_ALL_BUT_WEBHOOK: Final[frozenset[Scope]] = frozenset({"read", "run", "admin"})


@dataclass(frozen=True)
class Caller:
    """`name` is the key's, or one of these: `local` (this machine, without a key), `cli` (a command on the operations
    database), `webhook` (whoever signed an event), `watched-folder` (its files have changed), `anonymous`.

    `address` is the IP that called, None where nobody called. After a rotation the same client has another `key_id`,
    and the same `name`.
    """

    name: str
    scopes: frozenset[Scope] = frozenset()
    key_id: str | None = None
    address: str | None = None


COMMAND_LINE: Final = Caller("cli", _ALL_BUT_WEBHOOK)
WATCHED_FOLDER: Final = Caller("watched-folder")


def local_caller(address: str | None) -> Caller:
    """A caller of the service's own machine, where GTM_ENV=local lets it call without a key."""
    return Caller("local", _ALL_BUT_WEBHOOK, address=address)
