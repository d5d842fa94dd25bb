"""The org's API requests of a day: others need them too, so a sync stops before they are spent."""

import re
from collections.abc import Mapping
from typing import Final

from shared.errors import TerminalError

# REST API guide, "Limit Info Header": on each answer; the count is brought up to date now and then.
_HEADER: Final = "sforce-limit-info"
_USAGE = re.compile(r"(?:^|[\s;,])api-usage=(\d+)/(\d+)")


class QuotaGuard:
    """Counts what this sync spends, and hears what all have spent. One attempt of a sync has one; `spent`: what those
    before it had made."""

    def __init__(self, percent_total: float, percent_per_run: float, spent: int = 0) -> None:
        self._percent_total = percent_total
        self._percent_per_run = percent_per_run
        self._limit = 0
        self._used = 0
        self.spent = spent

    def set_limit(self, limit: int, used: int) -> None:
        """As /limits tells them."""
        self._limit, self._used = limit, used

    def observe(self, headers: Mapping[str, str]) -> None:
        """One answer came."""
        self.spent += 1
        match = _USAGE.search(headers.get(_HEADER, ""))
        if match is not None:
            self.set_limit(int(match[2]), int(match[1]))

    def check(self) -> None:
        """Before each call. Raises TerminalError `crm-quota-reached`."""
        if not self._limit:
            return
        if self._used >= self._limit * self._percent_total / 100:
            raise _stop(
                f"{self._used} of the org's {self._limit} API requests of 24 hours are spent, by all of its apps; a "
                f"sync goes on only below {self._percent_total:g} % (GTM_SALESFORCE_QUOTA_PERCENT_TOTAL)"
            )
        if self.spent >= self._limit * self._percent_per_run / 100:
            raise _stop(
                f"This sync has spent {self.spent} of the org's {self._limit} API requests of 24 hours, and one sync "
                f"may spend {self._percent_per_run:g} % (GTM_SALESFORCE_QUOTA_PERCENT_PER_RUN)"
            )


def _stop(reason: str) -> TerminalError:
    return TerminalError(
        f"{reason}. The next sync goes on after what has landed.",
        code="crm-quota-reached",
        title="The CRM's quota is spent",
        source="salesforce",
    )
