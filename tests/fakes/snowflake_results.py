"""DuckDB's results as Snowflake's protocol has them: column types, Arrow with its metadata, NULL as NULL."""

from base64 import b64encode
from dataclasses import dataclass
from typing import Any

import fakesnow.arrow
import pyarrow as pa
import pyarrow.compute as pc
from fakesnow.rowtype import ColumnInfo, describe_as_rowtype
from fakesnow.statement_type import DML_TYPE_IDS


@dataclass(frozen=True)
class Answer:
    """What a statement gave. `rows`: returned, or touched by DML."""

    table: pa.Table
    rowtype: list[ColumnInfo]
    type_id: int
    rows: int
    query_id: str

    def to_json(self) -> dict[str, Any]:
        """The part of the answer's `data` that holds rows. Clients read the counts of DML from `rowset`."""
        about = {"rowtype": self.rowtype, "statementTypeId": self.type_id, "total": self.table.num_rows}
        if self.type_id in DML_TYPE_IDS:
            rows = [[None if one is None else str(one) for one in row.values()] for row in self.table.to_pylist()]
            return {**about, "queryResultFormat": "json", "rowset": rows}
        encoded = b64encode(to_ipc(self.table, self.rowtype)).decode() if self.table.num_rows else ""
        return {**about, "queryResultFormat": "arrow", "rowsetBase64": encoded}


def to_rowtype(described: list[tuple[str, str]]) -> list[ColumnInfo]:
    """From DuckDB's names and types."""
    return describe_as_rowtype([(name, kind, None, None, None, None) for name, kind in described])


def to_ipc(table: pa.Table, rowtype: list[ColumnInfo]) -> bytes:
    """One batch, whatever the number of chunks."""
    columns = [_to_column(column.combine_chunks()) for column in table.columns]
    columns = [one.chunk(0) if isinstance(one, pa.ChunkedArray) and one.num_chunks else one for one in columns]
    schema = fakesnow.arrow.to_sf_schema(table.schema, rowtype)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_table(pa.Table.from_arrays(columns, schema=schema))
    return bytes(sink.getvalue())


def _to_column(column: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(column.type):
        return timestamps_with_nulls(column)
    if pa.types.is_time(column.type):
        return pc.multiply(column.cast(pa.int64()), 1000)
    return column


def timestamps_with_nulls(column: pa.Array) -> pa.Array:
    """fakesnow's struct of seconds and fraction has no mask: NULL would be read as 1970-01-01."""
    column = column.cast(pa.timestamp("us", column.type.tz))
    struct = fakesnow.arrow.timestamp_to_sf_struct(column)
    if column.null_count == 0:
        return struct
    fields = [pc.fill_null(struct.field(index), 0) for index in range(struct.type.num_fields)]
    return pa.StructArray.from_arrays(fields, fields=list(struct.type), mask=pc.is_null(column))
