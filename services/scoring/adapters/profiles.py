"""Profiles of the accounts that a scoring asks about, in the plan's order, a slice at a time."""

import asyncio
from collections.abc import AsyncGenerator, Collection
from typing import Final

from services.scoring.adapters.marts import read_accounts
from services.scoring.adapters.plan import PlanQuery, ScoringPlan, read_page
from services.scoring.domain.profile import AccountProfile
from shared.warehouse import Warehouse

SLICE_ACCOUNTS: Final = 384
WINDOW_ACCOUNTS: Final = 32  # whose turn comes together: about as many are asked about one by one after a crash


class PlannedProfiles:
    """Holds one page of ids, and gives a slice of profiles after the other. For one thread at a time."""

    def __init__(self, warehouse: Warehouse, query: PlanQuery, plan: ScoringPlan, dealt_with: Collection[str]) -> None:
        """`dealt_with` are accounts that are left out."""
        self._warehouse = warehouse
        self._query = query
        self._dealt_with = dealt_with
        self._size = plan.page
        self._page = list(plan.first)
        self._last = plan.first[-1] if len(plan.first) == plan.page else None  # None: no page follows
        self.planned = 0
        """Accounts given so far, or found gone."""
        self.gone = 0
        """In the plan and in no mart any more."""

    def read(self) -> list[AccountProfile] | None:
        """The next slice, best baseline first; None when all were given."""
        while not self._page:
            if self._last is None:
                return None
            self._page = read_page(self._warehouse, self._query, self._last, self._size)
            self._last = self._page[-1] if len(self._page) == self._size else None
        taken, self._page = self._page[:SLICE_ACCOUNTS], self._page[SLICE_ACCOUNTS:]
        wanted = [one.account_id for one in taken if one.account_id not in self._dealt_with]
        profiles = read_accounts(self._warehouse, wanted)
        self.planned += len(taken)
        self.gone += len(wanted) - len(profiles)
        return profiles


async def read_ahead(planned: PlannedProfiles) -> AsyncGenerator[list[AccountProfile], None]:
    """Windows of profiles; the next slice is read while one is asked about."""
    upcoming = asyncio.create_task(asyncio.to_thread(planned.read))
    try:
        while (profiles := await upcoming) is not None:
            upcoming = asyncio.create_task(asyncio.to_thread(planned.read))
            for start in range(0, len(profiles), WINDOW_ACCOUNTS):
                yield profiles[start : start + WINDOW_ACCOUNTS]
    finally:
        upcoming.cancel()
