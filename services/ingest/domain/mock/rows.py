"""What the generator makes of a table: columns of text, and who is deleted."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from services.ingest.domain.batches import batch_schema, build_batch
from services.ingest.domain.mock.arrays import Flags, Texts
from services.ingest.domain.mock.dirt_places import PLACES
from services.ingest.domain.mock.texts import to_pool


@dataclass(frozen=True)
class Rows:
    """Records: arrays of one length."""

    columns: dict[str, Texts]
    deleted: Flags

    def to_batch(self, table: str) -> pa.Table:
        """As landing takes them."""
        columns = {name: to_pool(values) for name, values in self.columns.items()}
        return batch_of_text(table, columns, self.deleted)


@dataclass(frozen=True)
class Events:
    """Clean events, of which none is deleted. `columns` has all that the table has; `id` is the key.

    `updated_at` is when they happened, as `domain/batches.py:to_utc_text` would write it.
    """

    columns: dict[str, pa.Array]
    updated_at: pa.Array

    def to_batch(self, table: str) -> pa.Table:
        """As landing takes them, without looking into texts of which all is known."""
        ids = self.columns["id"]
        schema = batch_schema(table)
        alive = pa.array(np.zeros(len(ids), dtype=bool))
        extra = pa.nulls(len(ids), pa.string())
        return pa.Table.from_arrays(
            [self.columns[name] for name in schema.names[:-4]] + [extra, alive, ids, self.updated_at], schema=schema
        )


def kept_rows(columns: dict[str, Texts]) -> Rows:
    """Rows of which none is deleted."""
    return Rows(columns, np.zeros(len(next(iter(columns.values()))), dtype=bool))


def batch_of_text(table: str, columns: dict[str, pa.Array], deleted: Flags) -> pa.Table:
    """Rows of whatever text, with the key and the change time that landing reads in it."""
    places = PLACES[table]
    return build_batch(
        table,
        columns,
        key=[columns[name] for name in places.key],
        updated_at=columns[places.stamp] if places.stamp else None,
        is_deleted=pa.array(deleted, pa.bool_()),
    )
