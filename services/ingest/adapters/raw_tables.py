"""The RAW tables as SQLAlchemy sees them. docs/contracts.md is the promise; the comments travel into the warehouse."""

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.sql.ddl import DDLIfCallable

from services.ingest.domain.raw_schema import RAW_TABLE_NAMES, grain, source_columns
from shared.warehouse.tables import create_table

raw_metadata = sa.MetaData(schema="raw")
_PRESENT_COLUMNS: Final = (
    "select lower(table_name), lower(column_name) from information_schema.columns where lower(table_schema) = 'raw'"
)


def _raw_table(name: str) -> sa.Table:
    table = sa.Table(
        name,
        raw_metadata,
        sa.Column("source_system", sa.Text, primary_key=True, comment="The system of the record, such as hubspot"),
        sa.Column(
            "source_record_id",
            sa.Text,
            primary_key=True,
            comment="Trimmed key of the record, several joined by |; keyless:<row_hash> for a record without one",
        ),
        *(sa.Column(column, sa.Text) for column in source_columns(name)),  # the table's comment speaks for them
        sa.Column("extra", sa.Text, comment="JSON object of the source columns that no RAW column takes"),
        sa.Column("source_updated_at", sa.DateTime, comment="The source's own change time, UTC; null if unreadable"),
        sa.Column("is_deleted", sa.Boolean, nullable=False, comment="The source says deleted or archived"),
        sa.Column("row_hash", sa.Text, nullable=False, comment="md5 of source columns, extra and is_deleted"),
        sa.Column("load_id", sa.Text, nullable=False, comment="Job that last changed the row"),
        sa.Column("loaded_at", sa.DateTime, nullable=False, comment="When that job changed the row, UTC"),
        comment=f"{grain(name)}, unchanged text from the source; docs/contracts.md",
    )
    # DuckDB would keep every key in memory, and can't replace a row within a transaction. Landing alone writes RAW, one
    # transaction at a time, and gives each key once (tests/ingest/test_keys.py).
    table.primary_key.ddl_if(callable_=_NamesKeys())
    return table


class _NamesKeys(DDLIfCallable):
    def __call__(self, *_what: Any, dialect: sa.Dialect, **_how: Any) -> bool:
        return dialect.name != "duckdb"


RAW_TABLES: Final[dict[str, sa.Table]] = {name: _raw_table(name) for name in RAW_TABLE_NAMES}

rejects = sa.Table(
    "rejects",
    raw_metadata,
    sa.Column("reject_id", sa.Text, primary_key=True, comment="md5 of table, file, line and content"),
    sa.Column("load_id", sa.Text, nullable=False, comment="Job that first met the row"),
    sa.Column("source_system", sa.Text, nullable=False, comment="hubspot, salesforce or billing"),
    sa.Column("source_table", sa.Text, nullable=False, comment="RAW table that the row was meant for"),
    sa.Column("file", sa.Text, nullable=False, comment="File name"),
    sa.Column("line", sa.BigInteger, nullable=False, comment="Line of the file on which the row begins, from 1"),
    sa.Column("reason", sa.Text, nullable=False, comment="What a person must mend"),
    sa.Column("content", sa.Text, nullable=False, comment="The row; bytes that are not UTF-8 as \\xNN"),
    sa.Column("rejected_at", sa.DateTime, nullable=False, comment="When that job met the row, UTC"),
    comment="Rows of files that can't be split into columns; docs/contracts.md",
)


loads = sa.Table(
    "loads",
    raw_metadata,
    sa.Column("load_id", sa.Text, primary_key=True, comment="The load: the sync's job id"),
    sa.Column("source_table", sa.Text, primary_key=True, comment="RAW table that the load read"),
    sa.Column("source", sa.Text, nullable=False, comment="Source that was read, such as mock or files"),
    sa.Column("source_system", sa.Text, nullable=False, comment="hubspot, salesforce or billing"),
    sa.Column(
        "mode",
        sa.Text,
        nullable=False,
        comment="incremental, full or records, as the sync was asked; part: by options, of a window or single records",
    ),
    sa.Column("is_complete", sa.Boolean, nullable=False, comment="The load read everything that the source has"),
    sa.Column("is_baseline", sa.Boolean, nullable=False, comment="A person accepted this volume as the new normal"),
    sa.Column("seen", sa.BigInteger, nullable=False, comment="Rows read: the sum of the next five"),
    sa.Column("inserted", sa.BigInteger, nullable=False, comment="Rows new to RAW"),
    sa.Column("updated", sa.BigInteger, nullable=False, comment="Rows of RAW that the load changed"),
    sa.Column("unchanged", sa.BigInteger, nullable=False, comment="Rows that RAW had, or had in a newer version"),
    sa.Column("duplicates", sa.BigInteger, nullable=False, comment="Further versions of a record in the same load"),
    sa.Column("rejected", sa.BigInteger, nullable=False, comment="Rows that can't be split into columns"),
    sa.Column("loaded_at", sa.DateTime, nullable=False, comment="When the load last landed rows, UTC"),
    sa.Column("deleted", sa.BigInteger, comment="Rows of RAW that the source has no more: tombstones, not among seen"),
    comment="One row per load and RAW table that it read; docs/contracts.md",
)

# Ingest's own notes while a load is under way; nobody else reads them.
load_segments = sa.Table(
    "load_segments",
    raw_metadata,
    *(
        sa.Column(name, sa.Text, primary_key=True, comment=comment)
        for name, comment in (
            ("load_id", "The load: the sync's job id"),
            ("source_table", "RAW table that the segment brought rows for"),
            ("segment", "Where it began: the same when a later attempt reads it again"),
        )
    ),
    *(
        sa.Column(name, sa.BigInteger, nullable=False, comment="As in raw.loads, of this segment")
        for name in ("seen", "inserted", "updated", "unchanged", "duplicates", "rejected", "deleted")
    ),
    sa.Column("loaded_at", sa.DateTime, nullable=False, comment="When the segment landed, UTC"),
    comment="Segments of the loads of the last days, so that one that is read again counts once",
)
scan_keys = sa.Table(
    "scan_keys",
    raw_metadata,
    sa.Column("load_id", sa.Text, nullable=False, comment="The load: the sync's job id"),
    sa.Column("source_table", sa.Text, nullable=False, comment="RAW table that is read whole"),
    sa.Column("source_record_id", sa.Text, nullable=False, comment="A record that came; may come again"),
    sa.Column("scanned_at", sa.DateTime, nullable=False, comment="When its segment landed, UTC"),
    comment="Keys that whole readings have met, so that at their end the others get tombstones; of the last ones",
)


def create_raw_tables(connection: sa.Connection) -> None:
    """Create the schema's tables that are missing, all of them, so that dbt finds every source. A repeat is a no-op.

    A table of an older release gets the columns that it lacks, NULL for its rows: who upgrades keeps the warehouse.
    """
    present: dict[str, set[str]] = {}
    for table_name, column_name in connection.execute(sa.text(_PRESENT_COLUMNS)):
        present.setdefault(table_name, set()).add(column_name)
    # Only those that are missing: asking for each one by itself is a round trip each.
    missing = [table for table in raw_metadata.sorted_tables if table.name not in present]
    for table in missing:
        create_table(connection, table)
    for table in raw_metadata.sorted_tables:
        for column in table.columns:
            if table.name in present and column.name not in present[table.name]:
                _add_column(connection, table, column)


def _add_column(connection: sa.Connection, table: sa.Table, column: sa.Column[Any]) -> None:
    kind = column.type.compile(connection.dialect)
    connection.execute(sa.text(f"alter table raw.{table.name} add column {column.name} {kind}"))
    if column.comment:
        connection.execute(sa.schema.SetColumnComment(column))
