"""How often one caller may ask."""

import time

from shared.errors import Overloaded

_WINDOW_SECONDS = 60


class RateLimits:
    """So many requests within each minute of the clock for each caller, 0: any number.

    Counted in this process: where several serve the same API, each counts for itself. A bound on what one caller can
    take from the others, not a quota that is accounted for. Own code, since `limits`, which has the same windows,
    starts a thread every 10 ms to clean up its memory: a quarter of what a poll costs. Callers are as few as keys.
    """

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._window = 0
        self._counts: dict[str, int] = {}

    def take(self, caller: str) -> None:
        """Count one request.

        Raises:
            Overloaded: `rate-limited`; the minute that counts ends in `Retry-After` seconds.
        """
        if not self._per_minute:
            return
        now = time.time()
        if self._window != (window := int(now // _WINDOW_SECONDS)):
            self._window, self._counts = window, {}
        self._counts[caller] = count = self._counts.get(caller, 0) + 1
        if count > self._per_minute:
            raise Overloaded(
                f"More than {self._per_minute} requests within a minute. Ask less often, follow jobs by their events, "
                "or raise GTM_RATE_LIMIT_PER_MINUTE.",
                code="rate-limited",
                title="Too many requests",
                retry_after=max(1, round((window + 1) * _WINDOW_SECONDS - now)),
            )
