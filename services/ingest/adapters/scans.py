"""Whole readings of a table: which keys came, over all segments and attempts of a load, and what is gone therefore."""

from datetime import timedelta
from typing import Final

import sqlalchemy as sa

from services.ingest.adapters.offers import record_key
from services.ingest.adapters.raw_tables import scan_keys
from services.ingest.adapters.spool import IS_SCAN, Spool
from services.ingest.domain.loads import Load
from shared.errors import TerminalError

# A job that has not gone on for so long never will: its keys are of no use.
KEPT: Final = timedelta(days=7)


def gone_by_scan(load: Load, table: str, spool: Spool) -> str | None:
    """SQL condition on rows `stored` of RAW that the whole reading which ends in this segment missed; None: none ends.

    Rows that this load itself has changed came, if not with the scan. Keys of this segment are not among these: whoever
    asks leaves them out.
    """
    if table not in spool.ended_scans:
        return None
    return f"stored.load_id <> '{_quoted(load.load_id)}' and stored.source_record_id not in ({_earlier(load, table)})"


def require_volume(connection: sa.Connection, load: Load, table: str, spool: Spool) -> None:
    """Before tombstones are made: a source that shrank by more than half is rather broken, or another one.

    Raises:
        TerminalError: `source-shrank`, unless this load's volume was accepted.
    """
    if table not in spool.ended_scans or load.is_baseline:
        return
    keys = _earlier(load, table)
    if spool.read_rows(table).count:
        keys += f" union all select {record_key(table)} from staged_{table} where {IS_SCAN}"
    counted = f"select count(distinct source_record_id) from ({keys}) as scanned"
    scanned = int(connection.exec_driver_sql(counted).scalar_one())
    alive = int(connection.exec_driver_sql(f"select count(*) from raw.{table} where not is_deleted").scalar_one())
    if scanned * 2 < alive:
        raise TerminalError(
            f"The whole reading of {table} brought {scanned:,} records, and RAW holds {alive:,} that are not deleted: "
            "more than half would be gone. None was marked as deleted. See that the source is the right one and whole; "
            "if it is, sync once more with accept_volume (`gtm sync --accept-volume`).",
            code="source-shrank",
            title="The source has less than half of what it had",
        )


def remember_scan(connection: sa.Connection, load: Load, table: str, spool: Spool) -> None:
    """Keep this segment's keys for the segment in which the reading ends; forget them all where it has ended."""
    if table in spool.ended_scans:
        of_load = sa.and_(scan_keys.c.load_id == load.load_id, scan_keys.c.source_table == table)
        is_old = scan_keys.c.scanned_at < load.loaded_at - KEPT
        connection.execute(sa.delete(scan_keys).where(of_load | is_old))
    elif table in spool.scanned and spool.read_rows(table).count:
        connection.execute(
            sa.text(
                "insert into raw.scan_keys (load_id, source_table, source_record_id, scanned_at)"
                f" select distinct :load_id, '{table}', {record_key(table)}, cast(:scanned_at as datetime)"
                f" from staged_{table} where {IS_SCAN}"
            ),
            {"load_id": load.load_id, "scanned_at": load.loaded_at.isoformat(sep=" ")},
        )


def _earlier(load: Load, table: str) -> str:
    return (
        "select source_record_id from raw.scan_keys"
        f" where load_id = '{_quoted(load.load_id)}' and source_table = '{table}'"
    )


def _quoted(text: str) -> str:
    return text.replace("'", "''")
