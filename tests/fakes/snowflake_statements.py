"""What the emulator was asked: kinds of statements, counted, by kind and query tag; the last ones with their text."""

import json
import re
import threading
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

_COMMENTS: Final = re.compile(r"\A(?:\s+|--[^\n]*(?:\n|\Z)|/\*.*?\*/|;)*", re.S)
_TEXTS_KEPT: Final = 5_000
_CHARACTERS_KEPT: Final = 20_000
_DDL: Final = frozenset({"create", "drop", "alter", "comment", "undrop"})
_NAMED: Final = {
    "with": "select",
    "select": "select",
    "values": "select",
    "(": "select",
    "rm": "remove",
    "ls": "list",
    "desc": "describe",
    "start": "begin",
    "set": "session",
    "unset": "session",
    "revoke": "grant",
}
_DML: Final = frozenset({"insert", "update", "delete", "merge", "copy", "truncate"})


def without_comments(text: str) -> str:
    """The statement from its first word on."""
    return text[_COMMENTS.match(text).end() :]  # type: ignore[union-attr]  # matches nothing, too


def kind_of(text: str) -> str:
    """`select`, `merge`, `put`, `copy`, `ddl`, `begin` and so on, by the first word; `session` sets a parameter."""
    statement = without_comments(text)
    first = re.match(r"\w+|\(", statement)
    word = first.group().lower() if first else "empty"
    if word == "alter" and re.match(r"alter\s+session\b", statement, re.I):
        return "session"
    return "ddl" if word in _DDL else _NAMED.get(word, word)


def is_dml(kind: str) -> bool:
    """Part of a transaction, and changes rows."""
    return kind in _DML


def needs_warehouse(kind: str, text: str) -> bool:
    """Rows are read or written. A SELECT without FROM, DDL and PUT are answered by the cloud services."""
    if kind in _DML:
        return kind != "truncate"
    if kind == "select":
        return re.search(r"\bfrom\b", text, re.I) is not None
    return (
        kind == "ddl"
        and re.search(r"\bas\s*\(?\s*(select|with)\b", text, re.I) is not None
        and (re.match(r"create\s+(or\s+replace\s+)?(\w+\s+)*view\b", without_comments(text), re.I) is None)
    )


@dataclass(frozen=True)
class Statement:
    """One statement that was answered. `seconds` are the emulator's; `rows` returned or touched."""

    session: str
    kind: str
    tag: str
    text: str
    seconds: float
    rows: int | None
    code: str | None
    """Snowflake's error code; None: it succeeded."""


class StatementLog:
    """Counts since the last reset, and the last statements."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._last: deque[Statement] = deque(maxlen=_TEXTS_KEPT)
        self._record: Path | None = None
        self.reset()

    def record_to(self, file: Path) -> None:
        """Write every statement, whole, as a line of JSON; a reset leaves them."""
        self._record = file

    def reset(self) -> None:
        """Forget all."""
        with self._guard:
            self._kinds: Counter[str] = Counter()
            self._tags: Counter[str] = Counter()
            self._failed = self._logins = self._woken = 0
            self._since = time.time()
            self._last.clear()

    def add(self, statement: Statement) -> None:
        """It has been answered."""
        with self._guard:
            self._kinds[statement.kind] += 1
            self._tags[statement.tag] += 1
            self._failed += statement.code is not None
            self._woken += needs_warehouse(statement.kind, statement.text)
            self._write(statement)
            if len(statement.text) > _CHARACTERS_KEPT:
                cut = {**asdict(statement), "text": statement.text[:_CHARACTERS_KEPT]}
                statement = Statement(**cut)
            self._last.append(statement)

    def _write(self, statement: Statement) -> None:
        if self._record is not None:
            with self._record.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(asdict(statement)) + "\n")

    def add_login(self) -> None:
        """A session began."""
        with self._guard:
            self._logins += 1

    def counts(self) -> dict[str, Any]:
        """`warehouse`: statements that need a running one."""
        with self._guard:
            return {
                "statements": sum(self._kinds.values()),
                "by_kind": dict(sorted(self._kinds.items())),
                "by_tag": dict(sorted(self._tags.items())),
                "failed": self._failed,
                "logins": self._logins,
                "warehouse": self._woken,
                "since": self._since,
            }

    def last(self, matching: str = "") -> list[dict[str, Any]]:
        """Oldest first, those whose text matches the expression."""
        wanted = re.compile(matching, re.I | re.S)
        with self._guard:
            return [asdict(one) for one in self._last if wanted.search(one.text)]
