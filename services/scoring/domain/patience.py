"""How long to wait before another try, and when to stop trying: numbers only, nobody sleeps here."""

import random
from dataclasses import dataclass

_LONGEST_SECONDS = 20.0
_LONGEST_PROBE_SECONDS = 2.0  # a look costs a server nothing, and one that is back is used so much sooner
_SHORTEST_PROBE_SECONDS = 0.02


def to_delay(base_seconds: float, tries: int, retry_after: float | None) -> float:
    """Seconds before try number `tries` + 1: jitter under a doubling bound. The server's wish wins, bounded, where it
    is for more: one that wishes for no pause at all and refuses each time must not be asked in a tight loop."""
    bound: float = min(_LONGEST_SECONDS, base_seconds * 2 ** (tries - 1))
    if retry_after is not None:
        return max(bound / 2, min(retry_after, _LONGEST_SECONDS))
    return random.uniform(bound / 2, bound)  # nosec B311: spreads load, hides nothing


def to_probe_delay(base_seconds: float, failures: int, looks: int, retry_after: float | None) -> float:
    """Seconds before look number `looks` + 1 at a host that is left out.

    The first waits as long as `failures` in a row of its answers ask for (a host that takes every look and refuses each
    question must not be asked in a tight loop); the others come soon, for they ask nothing of it.
    """
    if looks == 0:
        return max(_SHORTEST_PROBE_SECONDS, to_delay(base_seconds, failures, retry_after))
    return max(_SHORTEST_PROBE_SECONDS, min(_LONGEST_PROBE_SECONDS, to_delay(base_seconds, looks, None)))


@dataclass
class CircuitBreaker:
    """Opens after `limit` accounts in a row that got no answer at all: then it's the server, not the accounts."""

    limit: int
    failed_in_a_row: int = 0

    @property
    def is_open(self) -> bool:
        return self.failed_in_a_row >= self.limit

    def succeed(self) -> None:
        """An account got an answer, good or bad."""
        self.failed_in_a_row = 0

    def fail(self) -> None:
        """An account got none, after all its tries."""
        self.failed_in_a_row += 1
