"""Which key a caller holds: looked up by its id, compared in constant time, and only then judged."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from shared.access.callers import Caller
from shared.access.key_store import KeyStore, StoredKey
from shared.access.keys import is_secret_of, parse_key
from shared.access.refusals import Unauthorised
from shared.errors import TransientError
from shared.operations.outages import OUTAGES

CACHED_SECONDS: Final = 2.0
"""A key that was revoked opens nothing after this time."""

_MOST_CACHED: Final = 1_000
_FORM: Final = "Send the header `Authorization: Bearer <key>` with a key of the form gtm_<id>_<secret>"


class KeyRing:
    """The keys that were used a moment ago, kept for CACHED_SECONDS; only existing ones, so guesses fill no memory.

    `clock` gives seconds that never go back. Expiry is judged by this machine's UTC.
    """

    def __init__(self, store: KeyStore, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, StoredKey]] = OrderedDict()

    async def identify(self, text: str, address: str | None) -> Caller:
        """The holder of this key.

        Raises:
            Unauthorised: no such key, another secret, expired or revoked.
            TransientError: `operations-unavailable`; nobody is let in while nobody can be looked up.
        """
        given = parse_key(text)
        if given is None:
            raise Unauthorised(f"That is no key of Fleet GTM. {_FORM}.")
        stored = self._cached(given.key_id) or await asyncio.to_thread(self._look_up, given.key_id)
        is_right = is_secret_of(given.secret, stored.secret_hash if stored else None)
        if stored is None or not is_right:
            raise Unauthorised(f"No such key. {_FORM}, as `gtm keys create` printed it.")
        state = stored.state(datetime.now(UTC))
        if state != "active":
            did = "was revoked" if state == "revoked" else "has expired"
            raise Unauthorised(f"The key {given.key_id} {did}. An operator makes another: `gtm keys create`.")
        return stored.to_caller(address)

    def _cached(self, key_id: str) -> StoredKey | None:
        since, stored = self._kept.get(key_id, (0.0, None))
        return stored if stored is not None and self._clock() - since < CACHED_SECONDS else None

    def _look_up(self, key_id: str) -> StoredKey | None:
        asked_at = self._clock()  # before the row is read: it is as old as the question
        try:
            stored = self._store.find(key_id)
        except OUTAGES as error:
            raise TransientError(
                "The operations database, which knows the keys, can't be reached, so nobody is let in. Try again; if "
                "it stays, check GTM_OPERATIONS_URL and `python -m shared.operations.migrate`.",
                code="operations-unavailable",
                title="The operations database is unavailable",
            ) from error
        if stored is None:
            self._kept.pop(key_id, None)
            return None
        self._kept[key_id] = (asked_at, stored)
        while len(self._kept) > _MOST_CACHED:
            self._kept.popitem(last=False)
        return stored
