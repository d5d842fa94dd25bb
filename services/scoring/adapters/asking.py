"""Keeps as many questions at the model as it answers at once, while whoever runs it reads and writes."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final, Protocol

from services.scoring.adapters.interviews import Interviewer
from services.scoring.adapters.lead_model import ModelUnavailable
from services.scoring.adapters.profiles import WINDOW_ACCOUNTS
from services.scoring.domain.interview import Interview
from services.scoring.domain.patience import CircuitBreaker
from services.scoring.domain.profile import AccountProfile
from services.scoring.domain.written_off import Outcome

_MOMENT_SECONDS: Final = 1.0  # how soon a cancel is noticed while the model thinks
_MOST_BATCHES: Final = 2  # results in memory: asking waits where the warehouse is slower than the model
_Windows = AsyncGenerator[list[AccountProfile], None]
_Waiting = asyncio.Queue[AccountProfile | None]


class AccountTurns(Protocol):
    """What is done about the accounts' turns (`Turns`)."""

    def begin(self, window: Sequence[AccountProfile]) -> None:
        """Called in a thread with each window of accounts before their turn."""
        ...

    def attempt_of(self, account_id: str) -> int:
        """Which attempt of an account this is, from 1."""
        ...

    def answer(self, account_id: str) -> None:
        """It has a result."""
        ...


@dataclass
class Asking:
    """Of one job. `results` are for the caller to write and then to `drop`; asking pauses where they pile up. `held`
    are accounts for which the server failed: whether it was the account or the server shows with the next one, and only
    then do they become results.

    Where the next ones fail too, `find_witnesses` (in a thread) gives accounts from elsewhere, none of those named:
    neighbours in the plan may have in common what breaks a server. What is answered about a witness counts for nothing
    else. `batch` is the number of results at which the caller wants to know.
    """

    interviewer: Interviewer
    breaker: CircuitBreaker
    turns: AccountTurns
    find_witnesses: Callable[[Collection[str]], list[AccountProfile]]
    batch: int
    results: list[Outcome] = field(default_factory=list)
    held: list[Interview] = field(default_factory=list)
    has_answered: bool = False
    error: BaseException | None = None
    """What ended the asking too early; `results` are good nevertheless."""
    _has_room: asyncio.Event = field(default_factory=asyncio.Event)
    _hearing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self._has_room.set()

    def drop(self, count: int) -> None:
        """The first `count` results are written."""
        del self.results[:count]
        if len(self.results) < self.batch * _MOST_BATCHES:
            self._has_room.set()

    async def moments(self, windows: _Windows, slots: int, most_seconds: float) -> AsyncGenerator[None, None]:
        """Ask about all of them, `slots` at a time. Yields when a batch is full and after `most_seconds`, a second at
        most; asking goes on meanwhile. Ends when all have a result, or with `error`: ModelUnavailable when the server
        stays away or failed on too many accounts in a row, or what the model, `windows` or `note` have raised.
        """
        self._is_full = asyncio.Event()
        waiting: _Waiting = asyncio.Queue(WINDOW_ACCOUNTS)
        tasks = [asyncio.create_task(self._feed(windows, waiting, slots))]
        tasks += [asyncio.create_task(self._ask(waiting)) for _ in range(slots)]
        work = asyncio.gather(*tasks)
        try:
            while not work.done():
                await self._next_moment(work, min(most_seconds, _MOMENT_SECONDS))
                if not work.done():
                    yield
            self.error = work.exception()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(work, *tasks, return_exceptions=True)

    async def _next_moment(self, work: "asyncio.Future[list[None]]", most_seconds: float) -> None:
        if len(self.results) < self.batch:
            self._is_full.clear()
        is_full = asyncio.create_task(self._is_full.wait())
        await asyncio.wait((work, is_full), timeout=most_seconds, return_when=asyncio.FIRST_COMPLETED)
        is_full.cancel()

    async def _feed(self, windows: _Windows, waiting: _Waiting, slots: int) -> None:
        async with aclosing(windows):
            async for window in windows:
                await asyncio.to_thread(self.turns.begin, window)
                for profile in window:
                    await waiting.put(profile)
        for _ in range(slots):
            await waiting.put(None)

    async def _ask(self, waiting: _Waiting) -> None:
        while (profile := await waiting.get()) is not None:
            await self._has_room.wait()
            outcome = await self.interviewer.hold(profile, self.turns.attempt_of(profile.account_id))
            if isinstance(outcome, Interview) and outcome.is_failed:
                self.held.append(outcome)
                self.breaker.fail()
                await self._ask_witnesses(lambda: self.breaker.is_open)
            else:
                self._take(outcome)

    async def settle(self) -> None:
        """All were asked: what becomes of those that are held. Raises ModelUnavailable where the server is at fault."""
        await self._ask_witnesses(lambda: bool(self.held) and not self.has_answered)
        self._acquit()

    async def _ask_witnesses(self, is_in_doubt: Callable[[], bool]) -> None:
        """One that is answered tells that the server is well."""
        async with self._hearing:
            if not is_in_doubt():
                return
            failure = ModelUnavailable(self.held[-1].refusals[-1].reason, is_reached=True)
            for profile in await asyncio.to_thread(self.find_witnesses, [one.profile.account_id for one in self.held]):
                outcome = await self.interviewer.hold(profile, 1)
                if isinstance(outcome, Interview) and not outcome.is_failed:
                    self._acquit()
                if not is_in_doubt():
                    return
            raise failure

    def _acquit(self) -> None:
        """The server is well, so those that are held were at fault themselves."""
        self.breaker.succeed()
        self.has_answered = True
        held, self.held = self.held, []
        for outcome in held:
            self._take(outcome)

    def _take(self, outcome: Outcome) -> None:
        if isinstance(outcome, Interview) and not outcome.is_failed:
            self._acquit()
        self.results.append(outcome)
        self.turns.answer(outcome.account_id)
        if len(self.results) >= self.batch:
            self._is_full.set()
        if len(self.results) >= self.batch * _MOST_BATCHES:
            self._has_room.clear()
