"""An operations database that is away for a moment is no fault of the job that needs it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import sqlalchemy as sa

from shared.errors import TransientError

# Not every DBAPIError: a broken constraint or a wrong statement is a bug of ours, and no retry mends it.
OUTAGES: Final = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError)


@contextmanager
def outage_as_transient() -> Iterator[None]:
    """Raises TransientError `operations-unavailable` for an outage within."""
    try:
        yield
    except OUTAGES as error:
        raise TransientError(
            "The operations database could not be reached, or did not answer in time. It is tried again.",
            code="operations-unavailable",
            title="The operations database is unavailable",
        ) from error
