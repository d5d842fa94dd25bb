"""That a COMMIT on Snowflake commits what the transaction wrote, all of it.

Snowflake rolls a transaction back that another one waits for and that has been idle for five minutes, or that somebody
aborts. It tells the session nothing: a COMMIT without a transaction is ignored, and the next change begins another one.
A worker that was only slow (a machine that slept, a paused container) would so commit nothing, or the second half, and
hear that all is well. So the first change is preceded by BEGIN and by a look at which transaction that is; before
COMMIT, and before DDL, which commits too, it must still be the same. Three statements for each transaction that
changes rows; none needs a virtual warehouse.
"""

import re
from typing import Any, Final

import sqlalchemy as sa

from shared.errors import TransientError

COUNTED: Final = "gtm_rows_are_counted"
"""Execution option of a change that needs no guard: the rows that it brought are counted once it is committed."""
_OPEN: Final = "gtm_transaction"  # in a connection's `info`
_CHANGE: Final = re.compile(r"\s*(merge|insert|update|delete|copy)\b", re.I)
_ENDS_IT: Final = re.compile(r"\s*(create|alter|drop|undrop|comment|truncate|use)\b", re.I)


def guard_transactions(engine: sa.Engine) -> None:
    """Once an engine, before anything counts its statements. Who commits calls `ensure_kept` first."""
    sa.event.listen(engine, "before_cursor_execute", _before)
    sa.event.listen(engine, "rollback", _forget)


def ensure_kept(connection: sa.Connection) -> None:
    """What has been changed since the last COMMIT is still there to be committed.

    Raises:
        TransientError: `warehouse-transaction-lost`; whatever is open must be rolled back.
    """
    began = connection.info.pop(_OPEN, None)
    if began is not None and (found := _current(connection)) != began:
        raise TransientError(
            f"Snowflake has rolled back transaction {began} of this job before it was committed"
            f" ({'another one' if found else 'none'} was open): it was idle for five minutes while others waited for"
            " its lock, or somebody aborted it. Nothing of it was written; the job is tried again by itself.",
            code="warehouse-transaction-lost",
            title="The transaction was rolled back by the warehouse",
        )


def _before(
    connection: sa.Connection, _cursor: Any, statement: str, _values: Any, context: sa.ExecutionContext, _many: bool
) -> None:
    if _ENDS_IT.match(statement):
        ensure_kept(connection)
    elif _CHANGE.match(statement) and _OPEN not in connection.info and not context.execution_options.get(COUNTED):
        # Without it the change would begin one by itself, which may be gone again before it could be looked at.
        connection.exec_driver_sql("begin transaction")
        connection.info[_OPEN] = _current(connection)


def _current(connection: sa.Connection) -> str | None:
    found = connection.exec_driver_sql("select current_transaction()").scalar_one()
    return None if found is None else str(found)


def _forget(connection: sa.Connection) -> None:
    if not connection.invalidated:
        connection.info.pop(_OPEN, None)
