"""How a worker finds Redis again: soon, however long it was away."""

from functools import partial
from typing import Any, Final

from celery.worker.consumer import Consumer

_LONGEST_PAUSE_SECONDS: Final = 2


class PromptConsumer(Consumer):  # type: ignore[misc]  # celery has no types
    """Looks every two seconds. Celery's own pauses grow to 30 s, so that after an outage of minutes a worker would sit
    there for half a minute beside a Redis that answers."""

    def ensure_connected(self, conn: Any) -> Any:
        """As Celery's, which takes no settings for this."""
        conn.ensure_connection = partial(conn.ensure_connection, interval_max=_LONGEST_PAUSE_SECONDS)
        return super().ensure_connected(conn)
