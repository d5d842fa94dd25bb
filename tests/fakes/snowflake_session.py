"""A login's session: its connection to the emulator's DuckDB, parameters, temporary objects, and its transaction.

Snowflake's rules: with AUTOCOMMIT off, the first change begins a transaction; DDL commits the one that is open and is
its own; READ COMMITTED, so that what is read before the first change is not part of it. Stricter than Snowflake: where
a statement fails within a transaction, all of it is lost, and a COMMIT is refused.
"""

import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import duckdb

from tests.fakes.snowflake_commands import answer_command, status
from tests.fakes.snowflake_cursor import Cursor
from tests.fakes.snowflake_failures import Failure
from tests.fakes.snowflake_results import Answer
from tests.fakes.snowflake_rewriting import Comment, Name
from tests.fakes.snowflake_statements import is_dml, kind_of, without_comments

if TYPE_CHECKING:
    from tests.fakes.snowflake_account import Account

_TEXT_LIMIT: Final = 1_048_576
_CONFLICTS: Final = 20
_transactions = itertools.count(time.time_ns())


class Session:
    """See `Writer` of snowflake_locks.py."""

    def __init__(self, account: "Account", connection: Any, login: dict[str, Any]) -> None:
        self.account = account
        self.connection = connection
        self.user: str = login.get("user", "")
        self.role: str = login.get("role", "")
        self.warehouse: str = login.get("warehouse", "")
        self.parameters: dict[str, str] = login.get("parameters", {})
        self.autocommit = str(self.parameters.pop("AUTOCOMMIT", "true")).lower() != "false"
        self.temporary: dict[str, Name] = {}
        self.touches_temporary = False
        self.written: set[Name] = set()
        self.idle_since: float | None = time.monotonic()
        self.transaction: str | None = None  # what CURRENT_TRANSACTION() says
        self._guard = threading.RLock()
        self._has_begun = False
        self._has_failed = False

    @property
    def tag(self) -> str:
        """QUERY_TAG, empty where none is set."""
        return self.parameters.get("QUERY_TAG", "")

    def run(self, text: str, bindings: Any) -> Answer:
        """Raises Failure, PutRequested, or what DuckDB and sqlglot raise."""
        with self._guard:
            self.idle_since = None
            try:
                return self._run(text, bindings)
            finally:
                self.idle_since = time.monotonic()

    def abort(self) -> None:
        """Rolled back by another one that waits."""
        with self._guard:
            if self.idle_since is not None:
                self._end(commit=False)

    def interrupt(self) -> None:
        """The statement that runs now."""
        self._duck.interrupt()

    def close(self) -> None:
        """What is open is rolled back; temporary objects go."""
        with self._guard:
            self._end(commit=False)
            self.connection.close()

    def _run(self, text: str, bindings: Any) -> Answer:
        if len(text) > _TEXT_LIMIT:
            raise Failure("001795", "54000", f"SQL statement of {len(text)} characters exceeds 1 MB.")
        kind = kind_of(text)
        if kind in ("begin", "commit", "rollback"):
            return self._control(kind)
        if kind == "ddl" or kind == "use":
            self._end(commit=True)
        text = self.account.user_stage(self, text)
        own = answer_command(self, kind, without_comments(text))
        if own is not None:
            return own
        self.touches_temporary = False
        if is_dml(kind):
            with self._changing():
                return Cursor(self).run(text, bindings)
        return self._retried(text, bindings) if kind == "ddl" else self._watched(text, bindings)

    def _control(self, kind: str) -> Answer:
        """A COMMIT of none is ignored, also where the session's own was rolled back by another one that waits."""
        if kind == "begin":
            self._open()
        elif kind == "commit" and self._has_failed:
            self._end(commit=False)
            raise Failure("000603", "XX000", "The emulator lost the transaction when a statement in it failed.")
        else:
            self._end(commit=kind == "commit")
        return status(self, "Statement executed successfully.")

    def _open(self) -> None:
        """Nothing where one is open."""
        self.transaction = self.transaction or str(next(_transactions))

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Within the session's transaction, or one of the statement's own."""
        is_own = self.autocommit and self.transaction is None
        self._open()
        if not self._has_begun:
            self.account.write_lock.acquire(self)
            self._duck.execute("begin transaction")
            self._has_begun = True
        try:
            yield
        except BaseException:
            if is_own:
                self._end(commit=False)
            else:
                self._has_failed = self._is_aborted()
            raise
        if is_own:
            self._end(commit=True)

    def _watched(self, text: str, bindings: Any) -> Answer:
        try:
            return Cursor(self).run(text, bindings)
        except duckdb.Error:
            self._has_failed = self._has_begun and self._is_aborted()
            raise

    def _retried(self, text: str, bindings: Any) -> Answer:
        """DDL that meets another one, or an open change, of the same object: Snowflake would wait."""
        for _ in range(_CONFLICTS):
            try:
                return Cursor(self).run(text, bindings)
            except duckdb.TransactionException as error:
                if "onflict" not in str(error):
                    raise
            self.account.write_lock.acquire(self)
            self.account.write_lock.release(self)
        return Cursor(self).run(text, bindings)

    def _is_aborted(self) -> bool:
        try:
            self._duck.execute("select 1").fetchall()
        except duckdb.Error:
            return True
        return False

    def _end(self, *, commit: bool) -> None:
        try:
            if self._has_begun:
                with self.account.history.committing(self.written if commit else ()):
                    self._duck.execute("commit" if commit else "rollback")
        finally:
            self.written = set()
            self.transaction = None
            self._has_begun = self._has_failed = False
            self.account.write_lock.release(self)

    @property
    def _duck(self) -> duckdb.DuckDBPyConnection:
        connection: duckdb.DuckDBPyConnection = self.connection._duck_conn
        return connection

    def set_parameter(self, name: str, value: str | None) -> None:
        """None: back to its default."""
        if name == "AUTOCOMMIT":
            self._end(commit=True)
            self.autocommit = value is None or value.lower() == "true"
        elif value is None:
            self.parameters.pop(name, None)
        else:
            self.parameters[name] = value

    def note_comments(self, comments: Sequence[Comment]) -> None:
        """DuckDB's own, which stay with the file."""
        for kind, parts, text in comments:
            is_temporary = self.temporary.get(parts[2]) == parts[:3]
            named = ".".join(f'"{part}"' for part in (("temp", "main", *parts[2:]) if is_temporary else parts))
            literal = text.replace("'", "''")
            self._duck.execute(f"comment on {kind} {named} is '{literal}'")
