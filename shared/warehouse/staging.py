"""Rows in memory become temporary tables beside their targets, to be merged from there (`merge.py`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from shared.warehouse.engine import Warehouse


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
    warehouse.stage(connection, offered, list(target.columns), rows)
    return [StagedRows(target, offered, when)]
