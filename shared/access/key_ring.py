"""Which key a caller holds: looked up by its id, compared in constant time, and only then judged."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
_ANSWER_SECONDS: Final = 2.7
"""REQUEST_PATIENCE ends a look-up a little sooner; this one holds whatever the database is."""

AWAY_SECONDS: Final = 0.5
"""For so long after a failure nobody asks again: who calls a database that is away is told so at once."""

_FORM: Final = "Send the header `Authorization: Bearer <key>` with a key of the form gtm_<id>_<secret>"


class KeyRing:
    """The keys that were used a moment ago, kept for CACHED_SECONDS; only existing ones, so guesses fill no memory.

    Each id is looked up once at a time, however many ask. Ids that no key was seen with have little room and a queue
    of their own: whoever guesses stands in the way of guesses, and of a key's very first call.

    `clock` gives seconds that never go back. Expiry is judged by this machine's UTC.
    """

    def __init__(self, store: KeyStore, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, StoredKey]] = OrderedDict()
        self._known = _Room("known-keys", threads=4, most=64)
        self._unknown = _Room("unknown-keys", threads=2, most=16)
        self._away_until = -1.0

    async def identify(self, text: str, address: str | None) -> Caller:
        """The holder of this key.

        Raises:
            Unauthorised: no such key, another secret, expired or revoked.
            TransientError: `operations-unavailable`; nobody is let in while nobody can be looked up.
        """
        given = parse_key(text)
        if given is None:
            raise Unauthorised(f"That is no key of Fleet GTM. {_FORM}.")
        stored = self._cached(given.key_id) or await self._ask(given.key_id)
        is_right = is_secret_of(given.secret, stored.secret_hash if stored else None)
        if stored is None or not is_right:
            tried = Caller("anonymous", key_id=stored.key_id, address=address) if stored else None
            raise Unauthorised(f"No such key. {_FORM}, as `gtm keys create` printed it.", caller=tried)
        state = stored.state(datetime.now(UTC))
        if state != "active":
            did = "was revoked" if state == "revoked" else "has expired"
            told = f"The key {given.key_id} {did}. An operator makes another: `gtm keys create`."
            raise Unauthorised(told, caller=stored.to_caller(address))
        return stored.to_caller(address)

    def _cached(self, key_id: str) -> StoredKey | None:
        since, stored = self._kept.get(key_id, (0.0, None))
        return stored if stored is not None and self._clock() - since < CACHED_SECONDS else None

    async def _ask(self, key_id: str) -> StoredKey | None:
        """Raises TransientError, after _ANSWER_SECONDS at the latest."""
        room = self._known if key_id in self._kept else self._unknown
        looking = room.looking.get(key_id)
        if looking is None:
            if len(room.looking) >= room.most:
                raise _too_many()
            looking = room.looking[key_id] = asyncio.ensure_future(self._look_up_in(room, key_id))
            looking.add_done_callback(lambda _: room.looking.pop(key_id, None))
            looking.add_done_callback(_note_end)
        try:
            return await asyncio.wait_for(asyncio.shield(looking), _ANSWER_SECONDS)
        except TimeoutError as error:
            raise _away() from error

    async def _look_up_in(self, room: "_Room", key_id: str) -> StoredKey | None:
        return await asyncio.get_running_loop().run_in_executor(room.threads, self._look_up, key_id)

    def _look_up(self, key_id: str) -> StoredKey | None:
        asked_at = self._clock()  # before the row is read: it is as old as the question
        if asked_at < self._away_until:
            raise _away()
        try:
            stored = self._store.find(key_id)
        except OUTAGES as error:
            self._away_until = self._clock() + AWAY_SECONDS
            raise _away() from error
        if stored is None:
            self._kept.pop(key_id, None)
            return None
        self._kept[key_id] = (asked_at, stored)
        while len(self._kept) > _MOST_CACHED:
            self._kept.popitem(last=False)
        return stored


class _Room:
    """Look-ups under way, by id: `threads` at work, `most` in all."""

    def __init__(self, name: str, *, threads: int, most: int) -> None:
        self.threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self.most = most
        self.looking: dict[str, asyncio.Future[StoredKey | None]] = {}


def _note_end(looking: asyncio.Future[StoredKey | None]) -> None:
    """All who asked may have gone: an error that nobody takes is no news."""
    if not looking.cancelled():
        looking.exception()


def _away() -> TransientError:
    return TransientError(
        "The operations database, which knows the keys, can't be reached, so nobody is let in. Try again; if it "
        "stays, check GTM_OPERATIONS_URL and `python -m shared.operations.migrate`.",
        code="operations-unavailable",
        title="The operations database is unavailable",
    )


def _too_many() -> TransientError:
    return TransientError(
        "More keys are being looked up than this service looks up at once. Try again.",
        code="operations-unavailable",
        title="The operations database is unavailable",
    )
