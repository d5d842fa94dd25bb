"""Rows of a few thousand values as one text that DuckDB reads, each value held to its column's type.

DuckDB itself would make 2 of 1.5, and text of a number, without a word.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa

# By the column's own class, since sa.Float is an sa.Numeric, and sa.BigInteger an sa.Integer.
_TYPES: Final[Mapping[type, tuple[str, tuple[type, ...]]]] = {
    sa.String: ("VARCHAR", (str,)),
    sa.BigInteger: ("BIGINT", (int,)),
    sa.Integer: ("BIGINT", (int,)),
    sa.Boolean: ("BOOLEAN", (bool,)),
    sa.DateTime: ("TIMESTAMP", (datetime,)),
    sa.Float: ("DOUBLE", (float, int)),
    sa.Numeric: ("DECIMAL", (Decimal, int)),
}


def json_type(column: sa.Column[Any]) -> str:
    """DuckDB's name of the column's type."""
    name, _ = _TYPES[type(column.type)]
    if isinstance(column.type, sa.Numeric) and name == "DECIMAL":
        return f"DECIMAL({column.type.precision or 38},{column.type.scale or 0})"
    return name


def to_json(columns: Sequence[sa.Column[Any]], rows: Sequence[Mapping[str, Any]]) -> str:
    """A list of objects with the columns' names. A moment is written as it is: UTC without an offset.

    Raises:
        KeyError: a row lacks a column.
        TypeError: a value isn't of its column's type; names the column.
        ValueError: a number that JSON has not, such as NaN.
    """
    known = [(column.name, _TYPES[type(column.type)][1]) for column in columns]
    return json.dumps([_to_object(known, row) for row in rows], default=str, allow_nan=False)


def _to_object(known: Sequence[tuple[str, tuple[type, ...]]], row: Mapping[str, Any]) -> dict[str, Any]:
    for name, types in known:
        value = row[name]
        if value is not None and not (isinstance(value, types) and isinstance(value, bool) == (bool in types)):
            raise TypeError(f"{name} takes {' or '.join(one.__name__ for one in types)}, not {type(value).__name__}")
    return {name: row[name] for name, _ in known}
