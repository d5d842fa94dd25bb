"""What a warehouse holds, table by table, in terms that both engines have."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa

from shared.warehouse import Warehouse

SCHEMAS: Final = ("raw", "analytics", "analytics_staging", "analytics_failures", "reverse_etl_outbound")
# A JSON object has no order, and Snowflake keeps none: texts of these columns are compared as what they say.
_JSON_COLUMNS: Final = frozenset({"raw_row", "failed_row"})

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Column:
    """`kind`: text, whole, decimal(scale), double, boolean, date or moment. Precision is not compared: Snowflake has
    one whole number type of 38 digits."""

    name: str
    kind: str


@dataclass
class Relation:
    """`rows` are in no order; `kind` is table or view."""

    kind: str
    columns: tuple[Column, ...]
    rows: list[Row] = field(default_factory=list, repr=False)

    @property
    def cells(self) -> int:
        return len(self.rows) * len(self.columns)


Contents = dict[str, Relation]


def read_contents(warehouse: Warehouse) -> Contents:
    """Every table and view of ours as `schema.name`."""
    with warehouse.core() as connection:
        contents = _read(connection, [schema for schema in SCHEMAS if schema != "reverse_etl_outbound"])
    with warehouse.outbound() as connection:
        return contents | _read(connection, ["reverse_etl_outbound"])


def _read(connection: sa.Connection, schemas: Iterable[str]) -> Contents:
    listing = sa.text("select table_schema, table_name, table_type from information_schema.tables")
    contents = {
        f"{schema}.{name}".lower(): Relation("view" if kind.upper() == "VIEW" else "table", ())
        for schema, name, kind in connection.execute(listing).all()
        if schema.lower() in schemas
    }
    columns = _read_columns(connection)
    for name, relation in contents.items():
        relation.columns = columns[name]
        found = connection.exec_driver_sql(f"select * from {name}")
        assert [key.lower() for key in found.keys()] == [column.name for column in relation.columns], name
        is_json = [column.name in _JSON_COLUMNS for column in relation.columns]
        relation.rows = [
            tuple(_value(value, like_json) for value, like_json in zip(row, is_json, strict=True)) for row in found
        ]
    return contents


def _read_columns(connection: sa.Connection) -> Mapping[str, tuple[Column, ...]]:
    listing = sa.text(
        "select table_schema, table_name, column_name, data_type, numeric_scale"
        " from information_schema.columns order by table_schema, table_name, ordinal_position"
    )
    columns: dict[str, tuple[Column, ...]] = {}
    for schema, table, name, kind, scale in connection.execute(listing).all():
        one = Column(name.lower(), to_kind(kind, scale))
        relation = f"{schema}.{table}".lower()
        columns[relation] = (*columns.get(relation, ()), one)
    return columns


def to_kind(data_type: str, scale: int | None) -> str:
    """Raises ValueError for a type that no column of ours should have."""
    name = data_type.upper().partition("(")[0]
    if name in ("VARCHAR", "TEXT"):
        return "text"
    if name in ("NUMBER", "DECIMAL", "BIGINT", "INTEGER", "HUGEINT"):
        return f"decimal({scale})" if scale else "whole"
    if name in ("DOUBLE", "FLOAT"):
        return "double"
    if name in ("BOOLEAN", "DATE"):
        return name.lower()
    if name in ("TIMESTAMP", "TIMESTAMP_NTZ"):
        return "moment"
    raise ValueError(f"{data_type} is no type of ours")


def _value(value: Any, like_json: bool) -> Any:
    if value is None:
        return None
    if like_json:
        return json.dumps(json.loads(value), sort_keys=True, ensure_ascii=False)
    if isinstance(value, Decimal):
        return value.normalize() + 0  # -0 and trailing zeros are the driver's
    return value
