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
_LEAST_ROWS: Final = 20  # as the build's guards: the last association that goes is no broken source


def gone_by_scan(load: Load, table: str, spool: Spool) -> str | None:
    """SQL condition on rows `stored` of RAW that the whole reading which ends in this segment missed; None: none ends.

    Rows that this load itself has changed came, if not with the scan. Keys of this segment are not among these: whoever
    asks leaves them out.
    """
    if table not in spool.ended_scans:
        return None
    return f"stored.load_id <> '{_quoted(load.load_id)}' and stored.source_record_id not in ({_earlier(load, table)})"


def require_volume(connection: sa.Connection, load: Load, table: str, spool: Spool) -> None:
    """Before tombstones are made: a source that lost more than half of its records is rather broken, or another one.
    Records that the source itself calls deleted came, and are not lost; of a handful nothing can be said.

    Raises:
        TerminalError: `source-shrank`, unless this load's volume was accepted.
    """
    gone = gone_by_scan(load, table, spool)
    if gone is None or load.is_baseline:
        return
    if spool.read_rows(table).count:
        gone += f" and stored.source_record_id not in (select {record_key(table)} from staged_{table})"
    counted = f"select count(*) as alive, count(case when {gone} then 1 end) as gone from raw.{table} as stored"
    found = connection.exec_driver_sql(f"{counted} where not stored.is_deleted").one()
    if found.alive >= _LEAST_ROWS and found.gone * 2 > found.alive:
        raise TerminalError(
            f"The whole reading of {table} lacks {found.gone:,} of the {found.alive:,} records that RAW holds alive: more "
            "than half would be gone. None was marked as deleted. See that the source is the right one and whole; if it "
            "is, sync once more with accept_volume (`gtm sync --accept-volume`).",
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
