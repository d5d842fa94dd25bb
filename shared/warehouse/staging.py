"""Rows in memory become temporary tables beside their targets, to be merged from there (`merge.py`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from shared.warehouse.engine import Warehouse

# Named one by one: an all-NULL column would otherwise get Arrow's null type, and another column type must fail here.
_ARROW_TYPES = {
    sa.String: pa.string(),
    sa.BigInteger: pa.int64(),
    sa.Boolean: pa.bool_(),
    sa.DateTime: pa.timestamp("us"),
    sa.Float: pa.float64(),
    sa.Integer: pa.int64(),
}


@dataclass(frozen=True)
class StagedRows:
    """What is offered to `target`: `offered` names a temporary table with every column of it."""

    target: sa.Table
    offered: str
    update_when: str


def stage_rows(
    warehouse: Warehouse, connection: sa.Connection, target: sa.Table, rows: Sequence[Mapping[str, Any]], when: str
) -> list[StagedRows]:
    """Zero rows stage nothing. `when`: see `update_when` of `merge_staged`.

    Apart from the merging, because Snowflake commits at every statement that creates or drops a table.
    """
    if not rows:
        return []
    offered = f"offered_{target.name}"
    connection.execute(sa.text(f"drop table if exists {offered}"))
    schema = pa.schema([(column.name, _arrow_type(column.type)) for column in target.columns])
    warehouse.stage(connection, offered, pa.Table.from_pylist([dict(row) for row in rows], schema=schema))
    return [StagedRows(target, offered, when)]


def _arrow_type(column_type: sa.types.TypeEngine[Any]) -> pa.DataType:
    if type(column_type) is sa.Numeric:  # sa.Float is one, too
        return pa.decimal128(column_type.precision or 38, column_type.scale or 0)
    return _ARROW_TYPES[type(column_type)]
