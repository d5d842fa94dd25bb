"""Rows in memory as an Arrow table, for the engine that takes files of them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import sqlalchemy as sa

# Named one by one: an all-NULL column would otherwise get Arrow's null type, and another column type must fail here.
_ARROW_TYPES: Final[Mapping[type, pa.DataType]] = {
    sa.String: pa.string(),
    sa.BigInteger: pa.int64(),
    sa.Boolean: pa.bool_(),
    sa.DateTime: pa.timestamp("us"),
    sa.Float: pa.float64(),
    sa.Integer: pa.int64(),
}


def to_arrow(columns: Sequence[sa.Column[Any]], rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Raises ValueError, TypeError or OverflowError where a value does not fit its column."""
    schema = pa.schema([(column.name, _arrow_type(column.type)) for column in columns])
    return pa.Table.from_pylist([dict(row) for row in rows], schema=schema)


def _arrow_type(column_type: sa.types.TypeEngine[Any]) -> pa.DataType:
    if type(column_type) is sa.Numeric:  # sa.Float is one, too
        return pa.decimal128(column_type.precision or 38, column_type.scale or 0)
    return _ARROW_TYPES[type(column_type)]
