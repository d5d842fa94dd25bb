"""Asking goes on beside the writing, but not without bound."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any, cast

from services.scoring.adapters.asking import Asking
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


async def _windows() -> AsyncGenerator[list[AccountProfile], None]:
    yield [replace(profile(), account_id=f"hubspot:{number}") for number in range(ACCOUNTS)]


async def _ask_with_a_slow_writer() -> tuple[int, list[Any]]:
    """The most results that waited at once, and all that were written."""
    asking = Asking(cast(Interviewer, QuickModel()), CircuitBreaker(3), lambda window: None, lambda name: 1, BATCH)
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
