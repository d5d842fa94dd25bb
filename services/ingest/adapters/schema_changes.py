"""`raw.schema_changes`: which fields of a source came, went or changed their type, and when a sync met it."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from services.ingest.adapters.raw_tables import create_raw_tables, raw_metadata
from services.ingest.domain.schema_drift import SchemaChange
from shared.warehouse import Warehouse

schema_changes = sa.Table(
    "schema_changes",
    raw_metadata,
    sa.Column("source", sa.Text, primary_key=True, comment="Source that was read, such as hubspot"),
    sa.Column("source_table", sa.Text, primary_key=True, comment="RAW table that the field's records land in"),
    sa.Column("field", sa.Text, primary_key=True, comment="The source's own name of the field"),
    sa.Column("change", sa.Text, primary_key=True, comment="added, removed or retyped"),
    sa.Column("load_id", sa.Text, primary_key=True, comment="Job that met the change"),
    sa.Column("old_type", sa.Text, comment="The field's type before, in the source's words; null if it told none"),
    sa.Column("new_type", sa.Text, comment="The field's type now, in the source's words; null if it tells none"),
    sa.Column("detected_at", sa.DateTime, nullable=False, comment="When that job met it, UTC"),
    comment="One row per change of a source's field and load that met it; docs/contracts.md",
)


def record_schema_changes(
    warehouse: Warehouse, load_id: str, source: str, changes: Sequence[SchemaChange], detected_at: datetime
) -> None:
    """In a transaction of its own, before the rows land: a sync that freezes is recorded too.

    What another attempt of the job has recorded stays as it is. `detected_at`: naive UTC.
    """
    if not changes:
        return
    with warehouse.core(write=True) as connection:
        create_raw_tables(connection)
        of_load = sa.select(schema_changes).where(
            schema_changes.c.load_id == load_id, schema_changes.c.source == source
        )
        known = {(row.source_table, row.field, row.change) for row in connection.execute(of_load)}
        new = {(one.table, one.field, one.change): one for one in changes}
        rows = [
            {
                "source": source,
                "source_table": one.table,
                "field": one.field,
                "change": one.change,
                "load_id": load_id,
                "old_type": one.old_type,
                "new_type": one.new_type,
                "detected_at": detected_at,
            }
            for key, one in new.items()
            if key not in known
        ]
        if rows:
            connection.execute(sa.insert(schema_changes), rows)
