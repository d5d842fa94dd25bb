"""The RAW tables as SQLAlchemy sees them. docs/contracts.md is the promise; the comments travel into the warehouse."""

from typing import Final

import sqlalchemy as sa

from services.ingest.domain.raw_schema import RAW_TABLE_NAMES, grain, source_columns

raw_metadata = sa.MetaData(schema="raw")


def _raw_table(name: str) -> sa.Table:
    return sa.Table(
        name,
        raw_metadata,
        sa.Column("source_system", sa.Text, primary_key=True, comment="hubspot or salesforce: the CRM of the record"),
        sa.Column(
            "source_record_id",
            sa.Text,
            primary_key=True,
            comment="Trimmed key of the record, several joined by |; keyless:<row_hash> for a record without one",
        ),
        *(sa.Column(column, sa.Text, comment="As the source wrote it") for column in source_columns(name)),
        sa.Column("extra", sa.Text, comment="JSON object of the source columns that no RAW column takes"),
        sa.Column("source_updated_at", sa.DateTime, comment="The source's own change time, UTC; null if unreadable"),
        sa.Column("is_deleted", sa.Boolean, nullable=False, comment="The source says deleted or archived"),
        sa.Column("row_hash", sa.Text, nullable=False, comment="md5 of source columns, extra and is_deleted"),
        sa.Column("load_id", sa.Text, nullable=False, comment="Job that last changed the row"),
        sa.Column("loaded_at", sa.DateTime, nullable=False, comment="When that job changed the row, UTC"),
        comment=f"{grain(name)}, unchanged text from the source; docs/contracts.md",
    )


RAW_TABLES: Final[dict[str, sa.Table]] = {name: _raw_table(name) for name in RAW_TABLE_NAMES}

rejects = sa.Table(
    "rejects",
    raw_metadata,
    sa.Column("reject_id", sa.Text, primary_key=True, comment="md5 of table, file, line and content"),
    sa.Column("load_id", sa.Text, nullable=False, comment="Job that first met the row"),
    sa.Column("source_system", sa.Text, nullable=False, comment="hubspot or salesforce"),
    sa.Column("source_table", sa.Text, nullable=False, comment="RAW table that the row was meant for"),
    sa.Column("file", sa.Text, nullable=False, comment="File name"),
    sa.Column("line", sa.BigInteger, nullable=False, comment="Line of the file on which the row begins, from 1"),
    sa.Column("reason", sa.Text, nullable=False, comment="What a person must mend"),
    sa.Column("content", sa.Text, nullable=False, comment="The row; bytes that are not UTF-8 as \\xNN"),
    sa.Column("rejected_at", sa.DateTime, nullable=False, comment="When that job met the row, UTC"),
    comment="Rows of files that can't be split into columns; docs/contracts.md",
)


def create_raw_tables(connection: sa.Connection) -> None:
    """Create the schema's tables that are missing, all of them, so that dbt finds every source. A repeat is a no-op."""
    raw_metadata.create_all(connection, checkfirst=True)
