"""An error of the driver or of SQLAlchemy, explained. What each code means, and which of them pass by themselves:
shared/snowflake_codes.py."""

from typing import Final

from snowflake.connector.errors import Error as ConnectorError

from shared.errors import GtmError, TransientError
from shared.settings import WarehouseSettings
from shared.snowflake_codes import Place, explain_code, is_known, is_without_answer

_SESSION_GONE: Final = frozenset(
    {250002, 252006, 252007, 390103, 390104, 390110, 390111, 390112, 390113, 390114, 390115}
)
_INVALID_DATA: Final = "22"  # SQLSTATE's class


def explain_refusal(error: Exception, settings: WarehouseSettings) -> GtmError:
    """`error` comes from the driver, or is SQLAlchemy's TimeoutError: every session of the pool was in use."""
    if isinstance(error, ConnectorError):
        said, number = str(error.raw_msg or error.msg or ""), int(error.errno or -1)
        return explain_code(number, error.sqlstate, said, place_of(settings), query_id=error.sfqid or None)
    return TransientError(
        f"Every one of this process's {2 * settings.snowflake_pool_size} sessions was in use for too long. The job is "
        "tried again by itself; if it stays, raise GTM_SNOWFLAKE_POOL_SIZE.",
        code="warehouse-unreachable",
        title="The warehouse can't be reached",
    )


def place_of(settings: WarehouseSettings) -> Place:
    """What mends name."""
    return Place(
        account=settings.snowflake_account,
        user=settings.snowflake_user,
        role=settings.snowflake_role,
        warehouse=settings.snowflake_warehouse,
        database=settings.snowflake_database,
    )


def is_session_lost(error: ConnectorError) -> bool:
    """The session can't be used any more, so it must not go back into the pool. Also where an answer is missing: what
    it has open is not known."""
    number = int(error.errno or -1)
    return number in _SESSION_GONE or is_without_answer(number)


def is_of_a_value(error: ConnectorError) -> bool:
    """A value that no column takes: too long, no number, no date."""
    state = error.sqlstate or ""
    return state.startswith(_INVALID_DATA) and not is_known(int(error.errno or -1), state)
