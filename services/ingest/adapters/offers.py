"""The SQL of landing, which both engines accept: which of the rows that were read count, and as what.

Under temporary names, for each RAW table: `staged_` the rows as read, `held_of_` keys that were held back,
`replaced_of_` what their batches replace,
`superseded_` the arrival numbers of the versions that lose, `gone_from_` tombstones, `unread_` the rejects as read.
"""

from collections.abc import Iterable
from typing import Final

from services.ingest.adapters.row_hashes import row_hash
from services.ingest.domain.batches import ARRIVAL, RECORD_KEY, UPDATED_AT
from services.ingest.domain.loads import Load
from services.ingest.domain.raw_schema import source_columns, source_system

_STAMP: Final = f"try_cast({UPDATED_AT} as datetime)"


def record_key(table: str) -> str:
    """The record's key, over a staged row: what it was given, else its content."""
    return f"coalesce({RECORD_KEY}, 'keyless:' || {row_hash(table)})"


def superseded_selects(table: str, replaced: Iterable[str]) -> list[str]:
    """Arrival numbers: rows of batches that a later batch replaces; then, of each key, all versions but the winner.

    The newest change time wins, none is oldest; then the last to arrive.
    """
    staged, superseded = f"staged_{table}", f"superseded_{table}"
    selects = [
        f"select staged.{ARRIVAL} as {ARRIVAL} from {staged} as staged join ("
        f"select text, max({ARRIVAL}) as {ARRIVAL} from replaced_of_{table} where field = '{column}' group by text"
        f") as replaced on staged.{column} = replaced.text where staged.{ARRIVAL} < replaced.{ARRIVAL}"
        for column in sorted(replaced)
    ]
    alive = f"select *, {record_key(table)} as the_key from {staged}"
    if selects:
        alive += f" where {ARRIVAL} not in (select {ARRIVAL} from {superseded})"
    repeated = f"select the_key from ({alive}) as keyed group by the_key having count(*) > 1"
    selects.append(
        f"select {ARRIVAL} from ({alive}) as keyed where the_key in ({repeated})"
        f" qualify row_number() over (partition by the_key order by {_STAMP} desc nulls last, {ARRIVAL} desc) > 1"
    )
    return selects


def gone_select(load: Load, table: str, replaced: Iterable[str], by_scan: str | None, came: Iterable[str]) -> str:
    """Tombstones: rows of RAW that the source has no more, as they were, deleted. `came`: selects of keys it has."""
    columns = ", ".join((*source_columns(table), "extra"))
    gone = [
        f"stored.{column} in (select text from replaced_of_{table} where field = '{column}')"
        for column in sorted(replaced)
    ]
    gone += [by_scan] if by_scan else []
    where = f"not stored.is_deleted and ({' or '.join(f'({one})' for one in gone)})"
    where += "".join(f" and stored.source_record_id not in ({keys})" for keys in came)
    return (
        f"select source_system, source_record_id, {columns}, source_updated_at, is_deleted,"
        f" {row_hash(table)} as row_hash, {_of_load(load)} from ("
        f"select source_system, source_record_id, {columns}, source_updated_at, true as is_deleted"
        f" from raw.{table} as stored where {where}) as gone"
    )


def offered_select(load: Load, table: str, arrived: int, superseded: int, gone: int) -> str:
    """One row per key with every column of the RAW table."""
    columns = ", ".join((*source_columns(table), "extra"))
    names = f"source_system, source_record_id, {columns}, source_updated_at, is_deleted, row_hash, load_id, loaded_at"
    winners = f" where {ARRIVAL} not in (select {ARRIVAL} from superseded_{table})" if superseded else ""
    came = (
        f"select '{source_system(table)}' as source_system,"
        f" coalesce({RECORD_KEY}, 'keyless:' || row_hash) as source_record_id, {columns},"
        f" {_STAMP} as source_updated_at, is_deleted, row_hash, {_of_load(load)}"
        f" from (select *, {row_hash(table)} as row_hash from staged_{table}{winners}) as hashed"
    )
    parts = [came] if arrived else []
    parts += [f"select {names} from gone_from_{table}"] if gone else []
    return " union all ".join(parts)


def reject_select(load: Load, table: str) -> str:
    """One row per reject with every column of `raw.rejects`."""
    return (
        f"select reject_id, {_text(load.load_id)} as load_id, '{source_system(table)}' as source_system,"
        f" '{table}' as source_table, file, line, reason, content, {_moment(load)} as rejected_at"
        f" from unread_{table} qualify row_number() over (partition by reject_id order by line) = 1"
    )


def _of_load(load: Load) -> str:
    return f"{_text(load.load_id)} as load_id, {_moment(load)} as loaded_at"


def _moment(load: Load) -> str:
    return f"cast('{load.loaded_at.isoformat(sep=' ')}' as datetime)"


def _text(value: str) -> str:
    quoted = value.replace("'", "''")
    return f"'{quoted}'"
