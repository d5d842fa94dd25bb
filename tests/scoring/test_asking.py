"""Asking goes on beside the writing, but not without bound."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Collection, Mapping
from dataclasses import replace
from typing import Any, cast

from services.scoring.adapters.asking import Asking
from services.scoring.adapters.attempts import RunAttempts, Turns
from services.scoring.adapters.interviews import Interviewer
from services.scoring.domain.patience import CircuitBreaker
from services.scoring.domain.profile import AccountProfile
from services.scoring.domain.written_off import WrittenOff, after_deaths
from tests.scoring.profiles import profile

ACCOUNTS, BATCH, SLOTS = 60, 2, 4


class QuickModel:
    """Has a result at once."""

    async def hold(self, asked: AccountProfile, attempt: int) -> WrittenOff:
        await asyncio.sleep(0)
        return after_deaths(asked.account_id)


class SlowLog:
    """Takes its time for a note of accounts whose turn it is."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}
        self.begun, self.may_end = threading.Event(), threading.Event()

    def read(self) -> dict[str, int]:
        return {}

    def note(self, begun: Mapping[str, int], ended: Collection[str], *, is_place: bool) -> None:
        if begun:
            self.begun.set()
            assert self.may_end.wait(10)
        self.rows = {name: count for name, count in self.rows.items() if name not in ended} | dict(begun)


async def _windows() -> AsyncGenerator[list[AccountProfile], None]:
    yield [replace(profile(), account_id=f"hubspot:{number}") for number in range(ACCOUNTS)]


def _asking(turns: Turns) -> Asking:
    return Asking(cast(Interviewer, QuickModel()), CircuitBreaker(3), turns, lambda names: [], BATCH)


async def _ask_with_a_slow_writer() -> tuple[int, list[Any]]:
    """The most results that waited at once, and all that were written."""
    asking = _asking(Turns(RunAttempts()))
    most, written = 0, []
    async for _ in asking.moments(_windows(), SLOTS, 60):
        for _ in range(10 * ACCOUNTS):  # far more turns of the loop than all the answers need
            await asyncio.sleep(0)
        most = max(most, len(asking.results))
        written += asking.results[:BATCH]
        asking.drop(BATCH)
    return most, written + asking.results


def test_results_that_nobody_writes_stop_the_asking_until_there_is_room() -> None:
    most, written = asyncio.run(_ask_with_a_slow_writer())
    assert 2 * BATCH <= most < 2 * BATCH + SLOTS
    assert len({one.account_id for one in written}) == len(written) == ACCOUNTS


def test_attempts_are_given_back_after_a_note_that_goes_on_and_none_follows() -> None:
    log = SlowLog()
    turns = Turns(log)

    async def break_off() -> threading.Thread:
        moments = _asking(turns).moments(_windows(), SLOTS, 60)
        task = asyncio.ensure_future(anext(moments))
        await asyncio.to_thread(log.begun.wait, 10)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await moments.aclose()
        giving = threading.Thread(target=turns.give_back)
        giving.start()
        log.may_end.set()
        return giving

    asyncio.run(break_off()).join(10)
    turns.begin([profile()])
    assert log.rows == {}
