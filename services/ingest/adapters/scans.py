"""Whole readings of a table: which keys came, over all segments and attempts of a load, and what is gone therefore."""

from datetime import timedelta
from typing import Final

import sqlalchemy as sa

from services.ingest.adapters.offers import record_key
from services.ingest.adapters.raw_tables import loads, scan_keys
from services.ingest.adapters.spool import IS_SCAN, Spool
from services.ingest.domain.batches import ARRIVAL, RECORD_KEY
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
    gone += "".join(f" and stored.source_record_id not in ({keys})" for keys in came_selects(table, spool))
    counted = f"select count(*) from raw.{table} as stored where not stored.is_deleted"
    alive = int(connection.exec_driver_sql(counted).scalar_one())
    lacking = int(connection.exec_driver_sql(f"{counted} and {gone}").scalar_one())
    if alive >= _LEAST_ROWS and lacking * 2 > alive:
        raise TerminalError(
            f"The whole reading of {table} lacks {lacking:,} of the {alive:,} records that RAW holds alive: more than "
            "half would be gone. None was marked as deleted. See that the source is the right one and whole; if it is, "
            "sync once more with accept_volume (`gtm sync --accept-volume`).",
            code="source-shrank",
            title="The source has less than half of what it had",
        )


def came_selects(table: str, spool: Spool, *, only_scan: bool = False, is_superseding: bool = False) -> list[str]:
    """SQL of the keys that came in this segment, as selects. `is_superseding`: without rows that a later batch of the
    segment replaced, which `superseded_<table>` lists.
    """
    selects = []
    if spool.read_rows(table).count:
        conditions = [IS_SCAN] if only_scan else []
        conditions += [f"{ARRIVAL} not in (select {ARRIVAL} from superseded_{table})"] if is_superseding else []
        where = f" where {' and '.join(conditions)}" if conditions else ""
        selects.append(f"select {record_key(table)} as {RECORD_KEY} from staged_{table}{where}")
    if spool.read_held(table).count:
        selects.append(f"select {RECORD_KEY} from held_of_{table}{f' where {IS_SCAN}' if only_scan else ''}")
    return selects


def remember_scan(connection: sa.Connection, load: Load, table: str, spool: Spool) -> None:
    """Keep this segment's keys for the segment in which the reading ends. They outlive that end: who dies before the
    cursor is stored lands it again. When another load's reading ends, they go."""
    if table in spool.scanned:
        for keys in came_selects(table, spool, only_scan=True):
            connection.execute(
                sa.text(
                    "insert into raw.scan_keys (load_id, source_table, source_record_id, scanned_at)"
                    f" select distinct :load_id, '{table}', {RECORD_KEY}, cast(:scanned_at as datetime)"
                    f" from ({keys}) as came"
                ),
                {"load_id": load.load_id, "scanned_at": load.loaded_at.isoformat(sep=" ")},
            )
    if table in spool.ended_scans:
        has_ended = sa.select(loads.c.load_id).where(loads.c.source_table == table, loads.c.is_complete)
        is_over = (scan_keys.c.source_table == table) & scan_keys.c.load_id.in_(has_ended)
        is_old = scan_keys.c.scanned_at < load.loaded_at - KEPT
        connection.execute(sa.delete(scan_keys).where(scan_keys.c.load_id != load.load_id, is_over | is_old))


def _earlier(load: Load, table: str) -> str:
    return (
        "select source_record_id from raw.scan_keys"
        f" where load_id = '{_quoted(load.load_id)}' and source_table = '{table}'"
    )


def _quoted(text: str) -> str:
    return text.replace("'", "''")
