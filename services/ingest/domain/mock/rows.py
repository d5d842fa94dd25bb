"""What the generator makes of a table: columns of text, and who is deleted."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from services.ingest.domain.batches import RECORD_KEY, UPDATED_AT, batch_schema, to_record_key, to_utc_text
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
        columns |= {**key_and_time(table, columns), "is_deleted": pa.array(self.deleted, pa.bool_())}
        nothing = pa.nulls(len(self.deleted), pa.string())
        schema = batch_schema(table)
        return pa.Table.from_arrays([columns.get(name, nothing) for name in schema.names], schema=schema)


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
        columns = {
            **self.columns,
            "extra": pa.nulls(len(ids), pa.string()),
            "is_deleted": pa.array(np.zeros(len(ids), dtype=bool)),
            RECORD_KEY: ids,
            UPDATED_AT: self.updated_at,
        }
        schema = batch_schema(table)
        return pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)


def kept_rows(columns: dict[str, Texts]) -> Rows:
    """Rows of which none is deleted."""
    return Rows(columns, np.zeros(len(next(iter(columns.values()))), dtype=bool))


def key_and_time(table: str, columns: dict[str, pa.Array]) -> dict[str, pa.Array]:
    """What landing reads in whatever text the columns hold: the record's key and, where there is one, its stamp."""
    places = PLACES[table]
    read = {RECORD_KEY: to_record_key([columns[name] for name in places.key])}
    return read if places.stamp is None else {**read, UPDATED_AT: to_utc_text(columns[places.stamp])}
