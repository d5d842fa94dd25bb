"""Statements that differ only in their values are one shape: checked once."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tests.sql.checker import bare
from tests.sql.wire import Statement

_UNIQUE: Final = re.compile(r"[0-9a-f]{8}_?(?:[0-9a-f]{4}_?){3}[0-9a-f]{12}|__dbt_tmp\w*|[0-9a-f]{12,}", re.IGNORECASE)
_TEXT: Final = re.compile(r"'(?:[^'\\]|''|\\.)*'", re.DOTALL)
_NUMBER: Final = re.compile(r"(?<![\w.])\d+(?:\.\d+)?")
_REPEATED: Final = re.compile(r"(\([?, a-z]*\))(?:, ?\1)+", re.IGNORECASE)


@dataclass(frozen=True)
class Shape:
    """A statement for all that look like it."""

    sql: str
    kind: str
    count: int


def to_shapes(statements: Iterable[Statement]) -> list[Shape]:
    """Of each shape its shortest statement, so that a thousand rows of an INSERT are not parsed."""
    shortest: dict[str, Statement] = {}
    counts: dict[str, int] = {}
    for statement in statements:
        key = shape_of(statement.sql)
        counts[key] = counts.get(key, 0) + 1
        if key not in shortest or len(statement.sql) < len(shortest[key].sql):
            shortest[key] = statement
    return [Shape(one.sql, one.kind, counts[key]) for key, one in shortest.items()]


def shape_of(sql: str) -> str:
    """The text without its values: equal for statements that Snowflake parses alike.

    Texts with a backslash stay, since what Snowflake makes of it is checked.
    """
    text = _TEXT.sub(lambda one: one[0] if "\\" in one[0] else "?", bare(sql))
    text = " ".join(_NUMBER.sub("?", _UNIQUE.sub("?", text)).split())
    return _REPEATED.sub(r"\1", text)
