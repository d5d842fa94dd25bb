"""How often one caller may ask."""

import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from shared.errors import Overloaded


class RateLimits:
    """So many requests a minute for each caller, 0: any number.

    Counted in this process: where several serve the same API, each counts for itself. A bound on what one caller can
    take from the others, not a quota that is accounted for.
    """

    def __init__(self, per_minute: int) -> None:
        self._item = RateLimitItemPerMinute(per_minute) if per_minute else None
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def take(self, caller: str) -> None:
        """Count one request.

        Raises:
            Overloaded: `rate-limited`; the minute that counts ends in `retry_after` seconds.
        """
        if self._item is None or self._limiter.hit(self._item, caller):
            return
        until = self._limiter.get_window_stats(self._item, caller).reset_time
        raise Overloaded(
            f"More than {self._item.amount} requests within a minute. Ask less often, follow jobs by their events, or "
            "raise GTM_RATE_LIMIT_PER_MINUTE.",
            code="rate-limited",
            title="Too many requests",
            retry_after=max(1, round(until - time.time())),
        )
