"""The driver's connection, but for when it ends a statement.

The driver takes network_timeout for two things: for how long it sends a request without an answer again, and after how
many seconds it asks Snowflake to abort the statement, however well that is going. The first is a matter of minutes, the
second of STATEMENT_TIMEOUT and LOCK_TIMEOUT, which Snowflake keeps by itself: a load that copies for ten minutes, or
waits for a lock for six, must not end as a cut network.
"""

from typing import Any, Final

from snowflake.connector import SnowflakeConnection
from snowflake.connector.cursor import SnowflakeCursor

# To what Snowflake keeps by itself: it ends the statement first, and says which of the two it was.
_GRACE_SECONDS: Final = 300


class PatientConnection(SnowflakeConnection):
    """Of `snowflake.connector.connect`, whose arguments it takes."""

    def __init__(self, *, statement_seconds: int, **arguments: Any) -> None:
        """`statement_seconds`: for how long Snowflake lets a statement run or wait."""
        self.statement_seconds = statement_seconds + _GRACE_SECONDS
        super().__init__(**arguments)

    def cursor(self, cursor_class: Any = None) -> Any:
        """One whose statements have their time, unless another kind is asked for."""
        return super().cursor(_PatientCursor if cursor_class is None else cursor_class)

    def cmd_query(self, *arguments: Any, **options: Any) -> Any:
        """`timeout`, of the cursor, is the statement's; each request for it has network_timeout, the polls too."""
        return super().cmd_query(*arguments, **{**options, "timeout": None})


class _PatientCursor(SnowflakeCursor):
    def execute(self, *arguments: Any, **options: Any) -> Any:
        assert isinstance(self.connection, PatientConnection)
        return super().execute(*arguments, **{"timeout": self.connection.statement_seconds, **options})
