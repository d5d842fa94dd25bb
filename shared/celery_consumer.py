"""How a worker loses Redis, and finds it again: alive, and soon, however long it was away."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from celery.worker.consumer import Consumer

from shared.logging import get_logger

log = get_logger(__name__)

_LONGEST_PAUSE_SECONDS: Final = 2


class PromptConsumer(Consumer):  # type: ignore[misc]  # celery has no types
    """Looks every two seconds. Celery's own pauses grow to 30 s, so that after an outage of minutes a worker would sit
    there for half a minute beside a Redis that answers."""

    connection_errors: tuple[type[BaseException], ...]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # What kombu raises where a task of before the loss is acknowledged on the connection that is gone: logged, and
        # no reason to end.
        self.connection_errors = (*self.connection_errors, AttributeError)

    def ensure_connected(self, conn: Any) -> Any:
        """As Celery's, which takes no settings for this."""
        conn.ensure_connection = partial(conn.ensure_connection, interval_max=_LONGEST_PAUSE_SECONDS)
        return super().ensure_connected(conn)

    def on_connection_error_after_connected(self, exc: BaseException) -> None:
        """As Celery's, which takes the connection to pieces and then closes it. Kombu 5.7 wants to give messages back
        then that were not acknowledged, finds no address any more, and takes the worker and its jobs down."""
        if self.connection is not None:
            self.connection.close = partial(_close, self.connection.close)
        super().on_connection_error_after_connected(exc)


def _close(close: Callable[[], None]) -> None:
    try:
        close()
    except AttributeError as error:  # its messages are in Redis, if that still knows them; the job table does
        log.warning("connection_left_open", reason=str(error))
