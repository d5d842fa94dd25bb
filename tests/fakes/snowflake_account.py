"""The emulator's account: databases on disk, sessions, one write lock, what was asked, and what shall fail."""

import secrets
import threading
import uuid
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from fakesnow.instance import FakeSnow

from tests.fakes.snowflake_faults import Faults
from tests.fakes.snowflake_history import History
from tests.fakes.snowflake_locks import WriteLock
from tests.fakes.snowflake_patches import CREATED, DIVISION, HIDDEN
from tests.fakes.snowflake_rewriting import Name
from tests.fakes.snowflake_session import Session
from tests.fakes.snowflake_statements import StatementLog

_RESULTS_KEPT: Final = 16
_ANSWERS_KEPT: Final = 64


class _Last(OrderedDict[str, Any]):
    """The last few: fakesnow keeps every result for ever."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        while len(self) > self._most:
            self.popitem(last=False)


class Account:
    """What all sessions share."""

    def __init__(self, folder: Path | None, idle_seconds: float) -> None:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        self._engine = FakeSnow(db_path=folder, create_schema_on_connect=False)
        self._engine.results_cache = _Last(_RESULTS_KEPT)
        self._engine.duck_conn.execute("set global threads = 2")
        self._engine.duck_conn.execute(CREATED)
        self._engine.duck_conn.execute(HIDDEN)
        self._engine.duck_conn.execute(DIVISION)
        self._sessions: dict[str, Session] = {}
        self._answers: _Last = _Last(_ANSWERS_KEPT)
        self._guard = threading.RLock()
        self.keys: dict[Name, list[str]] = {}
        self.write_lock = WriteLock(idle_seconds)
        self.history = History(self._engine.duck_conn)
        self.faults = Faults()
        self.statements = StatementLog()

    @property
    def is_suspended(self) -> bool:
        """By a fault."""
        return any(one["at"] == "warehouse" and one["left"] != 0 for one in self.faults.listed())

    def log_in(self, login: dict[str, Any]) -> tuple[str, Session]:
        """A new session, with its token. A database that is not there is made; a schema is not."""
        with self._guard:
            connection = self._engine.connect(login.get("database"), login.get("schema"))
            session = Session(self, connection, login)
            token = secrets.token_urlsafe(24)
            self._sessions[token] = session
            self.statements.add_login()
            return token, session

    def find(self, token: str) -> Session | None:
        """None: it was closed, or never was."""
        return self._sessions.get(token)

    def rename(self, token: str) -> str | None:
        """A new token for a session whose token has expired."""
        with self._guard:
            session = self._sessions.pop(token, None)
            if session is None:
                return None
            fresh = secrets.token_urlsafe(24)
            self._sessions[fresh] = session
            return fresh

    def log_out(self, token: str) -> None:
        """What is open is rolled back."""
        with self._guard:
            session = self._sessions.pop(token, None)
        if session is not None:
            session.close()

    def note_created(self, name: Name) -> None:
        """Now: DuckDB does not keep the moment. In a transaction of its own."""
        with self._guard, self._engine.duck_conn.cursor() as connection:
            connection.execute("insert into _fs_global.main.created values (?, ?, ?, now())", name)

    def hide(self) -> None:
        """What the faults say, and nothing else."""
        names = [one["table"].upper().split(".") for one in self.faults.listed() if one["at"] == "hidden"]
        with self._guard, self._engine.duck_conn.cursor() as connection:
            connection.execute("delete from _fs_global.main.hidden")
            for name in names:
                connection.execute("insert into _fs_global.main.hidden values (?, ?)", name)

    def user_stage(self, session: Session, text: str) -> str:
        """The user's own stage, which fakesnow does not know, is a named one."""
        if "@~" not in text:
            return text
        database, name = session.connection.database, f"STAGE_OF_{session.user.upper()}"
        with self._guard, self._engine.duck_conn.cursor() as connection:
            connection.execute(
                "insert or ignore into _fs_global._fs_information_schema._fs_stages"
                " (name, database_name, schema_name, url) values (?, ?, 'PUBLIC', '')",
                [name, database],
            )
        return text.replace("@~", f"@{database}.PUBLIC.{name}")

    def checksums(self, database: str, without: Sequence[str]) -> dict[str, dict[str, str]]:
        """Schema.table -> its number of rows and a sum over their content, whatever their order, but for the columns
        `without`, in upper case, of ANALYTICS."""
        found: dict[str, dict[str, str]] = {}
        with self._engine.duck_conn.cursor() as connection:
            tables = connection.execute(
                "select tables.schema_name, tables.table_name,"
                " string_agg('\"' || column_name || '\"', ', ' order by column_index)"
                " from duckdb_tables() as tables join duckdb_columns() as columns using (table_oid, database_name)"
                " where database_name = ? and not temporary and tables.schema_name <> '_fs_information_schema'"
                " and not (starts_with(tables.schema_name, 'ANALYTICS') and list_contains(?, column_name))"
                " group by 1, 2 order by 1, 2",
                [database, list(without)],
            ).fetchall()
            for schema, table, columns in tables:
                counted = f'select count(*), sum(hash({columns})::hugeint) from "{database}"."{schema}"."{table}"'
                rows, content = connection.execute(counted).fetchall()[0]
                found[f"{schema}.{table}"] = {"rows": str(rows), "content": str(content or 0)}
        return found

    def next_query_id(self) -> str:
        """Random."""
        return str(uuid.uuid4())

    @contextmanager
    def once(self, request_id: str) -> Iterator["Once"]:
        """A request that is sent again, because its answer was lost, is not run again: its first answer is given."""
        with self._guard:
            once = self._answers.get(request_id) or Once()
            if request_id:
                self._answers[request_id] = once
        with once.guard:
            yield once

    def abort(self, request_id: str) -> None:
        """The statement ends, if it still runs."""
        with self._guard:
            once = self._answers.get(request_id)
        if once is not None:
            once.aborted.set()
            if once.answer is None and once.session is not None:
                once.session.interrupt()


class Once:
    """A request's answer, once there is one."""

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.answer: dict[str, Any] | None = None
        self.aborted = threading.Event()
        self.session: Session | None = None
