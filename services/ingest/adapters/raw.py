"""Landing: spooled batches become rows of RAW by one set-based merge per table."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from services.ingest.adapters.raw_tables import RAW_TABLES, rejects
from services.ingest.adapters.row_hashes import row_hash
from services.ingest.adapters.spool import Spool
from services.ingest.domain.raw_schema import source_columns, source_system
from services.ingest.domain.sources import KnownRows, Reject
from shared.warehouse import MergeCounts, Warehouse, merge_staged

# A late, older version never overwrites a newer one; where either has no readable stamp, the later arrival counts.
_UPDATE_WHEN = (
    "stored.row_hash <> offered.row_hash and (stored.source_updated_at is null or offered.source_updated_at is null"
    " or offered.source_updated_at >= stored.source_updated_at)"
)
_REJECT_CHARACTERS = 10_000
_ARROW_TYPES = {sa.BigInteger: pa.int64(), sa.DateTime: pa.timestamp("us")}
_REJECT_SCHEMA = pa.schema(
    [(column.name, _ARROW_TYPES.get(type(column.type), pa.string())) for column in rejects.columns]
)


@dataclass(frozen=True)
class Load:
    """One sync as RAW records it."""

    load_id: str
    loaded_at: datetime
    """Naive UTC."""
    source: str
    mode: str
    is_complete: bool
    is_baseline: bool


@dataclass(frozen=True)
class LandedCounts:
    """Rows: `seen = inserted + updated + unchanged + duplicates + rejected`."""

    seen: int
    inserted: int
    updated: int
    unchanged: int
    duplicates: int
    rejected: int

    def with_known(self, known: KnownRows) -> "LandedCounts":
        """Rows of files that are as they were when they landed count as read again: RAW has them, unchanged."""
        return replace(
            self,
            seen=self.seen + known.rows + known.rejected,
            unchanged=self.unchanged + known.rows,
            rejected=self.rejected + known.rejected,
        )

    def to_dict(self) -> dict[str, int]:
        """JSON for the job's result."""
        return asdict(self)


@dataclass(frozen=True)
class StagedTable:
    """A RAW table's rows and rejects in temporary tables, ready to be merged."""

    table: str
    arrived: int
    rejected: int

    @property
    def offered(self) -> str:
        """Temporary table: one row per key with every column of the RAW table."""
        return f"offered_{self.table}"

    @property
    def rejects(self) -> str:
        """Temporary table with the columns of `raw.rejects`."""
        return f"rejects_of_{self.table}"


def stage_table(warehouse: Warehouse, connection: sa.Connection, load: Load, table: str, spool: Spool) -> StagedTable:
    """Bring what the spool holds for `raw.<table>` next to it, one row per key, and its rejects.

    Apart from the merging, because Snowflake commits at every statement that creates a table.
    """
    staged, arrived, rejected = f"staged_{table}", 0, 0
    result = StagedTable(table, 0, 0)
    for name in (staged, result.offered, result.rejects):
        connection.execute(sa.text(f"drop table if exists {name}"))
    for rows in spool.read_rows(table):
        warehouse.stage(connection, staged, rows)
        arrived += rows.num_rows
    for batch in spool.read_rejects(table):
        warehouse.stage(connection, result.rejects, _to_reject_rows(load, table, batch))
        rejected += len(batch)
    if arrived:
        connection.execute(
            sa.text(f"create temporary table {result.offered} as {_offered_select(table, staged)}"),
            {"load_id": load.load_id, "loaded_at": load.loaded_at.isoformat(sep=" ")},
        )
        connection.execute(sa.text(f"drop table {staged}"))
    return StagedTable(table, arrived, rejected)


def merge_table(connection: sa.Connection, staged: StagedTable) -> LandedCounts:
    """One merge into `raw.<table>`, one into `raw.rejects`; the caller commits. The same rows again change nothing.

    A reject met again, at the same place with the same text, is not written.
    """
    merged = MergeCounts()
    if staged.arrived:
        merged = merge_staged(connection, RAW_TABLES[staged.table], staged.offered, update_when=_UPDATE_WHEN)
    if staged.rejected:
        merge_staged(connection, rejects, staged.rejects, update_when="stored.reason <> offered.reason")
    return LandedCounts(
        seen=staged.arrived + staged.rejected,
        inserted=merged.inserted,
        updated=merged.updated,
        unchanged=merged.unchanged,
        duplicates=staged.arrived - merged.inserted - merged.updated - merged.unchanged,
        rejected=staged.rejected,
    )


def _offered_select(table: str, staged: str) -> str:
    """One row per key, in portable SQL: the newest `source_updated_at`, null last, then the last to arrive."""
    columns = ", ".join((*source_columns(table), "extra"))
    return (
        f"select '{source_system(table)}' as source_system,"
        f" coalesce(record_key, 'keyless:' || row_hash) as source_record_id, {columns},"
        " try_cast(record_updated_at as datetime) as source_updated_at, is_deleted, row_hash,"
        " :load_id as load_id, cast(:loaded_at as datetime) as loaded_at"
        f" from (select *, {row_hash(table)} as row_hash from {staged}) as hashed"
        " qualify row_number() over (partition by coalesce(record_key, 'keyless:' || row_hash)"
        " order by try_cast(record_updated_at as datetime) desc nulls last, arrival desc) = 1"
    )


def _to_reject_rows(load: Load, table: str, batch: Sequence[Reject]) -> pa.Table:
    return pa.Table.from_pylist([_to_reject_row(load, table, reject) for reject in batch], schema=_REJECT_SCHEMA)


def _to_reject_row(load: Load, table: str, reject: Reject) -> dict[str, Any]:
    identity = "\0".join((table, reject.file, str(reject.line), reject.content))
    content = reject.content
    if len(content) > _REJECT_CHARACTERS:
        content = f"{content[:_REJECT_CHARACTERS]}... ({len(content) - _REJECT_CHARACTERS} more characters in the file)"
    return {
        "reject_id": hashlib.md5(identity.encode(), usedforsecurity=False).hexdigest(),
        "load_id": load.load_id,
        "source_system": source_system(table),
        "source_table": table,
        "file": reject.file,
        "line": reject.line,
        "reason": reject.reason,
        "content": content,
        "rejected_at": load.loaded_at,
    }
