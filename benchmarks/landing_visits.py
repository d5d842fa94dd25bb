"""Visits as a source's Parquet file, made in the engine: keys in no order, as HubSpot's are."""

from pathlib import Path

import duckdb

from services.ingest.domain.batches import RECORD_KEY, UPDATED_AT, batch_schema

TABLE = "hubspot_web_visits"
_PRIME = 2_147_483_647  # number * 48271 modulo it gives each id once


def make_visits(path: Path, visits: int) -> None:
    """`visits` rows of the batch schema, in the order of their moments."""
    _write(path, f"select {_columns(visits)} from range({visits})")


def make_change(path: Path, visits: int) -> None:
    """1 % of as many visits: half of them corrected, spread evenly over all, half new."""
    corrected = _columns(visits).replace("'newsletter'", "'corrected'").replace("range % 7 = 1", "true")
    new = f"select {_columns(visits)} from range({visits}, {visits + visits // 200})"
    _write(path, f"select {corrected} from range({visits}) where range % 200 = 7 union all {new}")


def _columns(visits: int) -> str:
    key = f"'pv-' || lpad(cast(((range + 1) * 48271) % {_PRIME} as varchar), 10, '0')"
    values = {
        "id": key,
        "contact_id": f"case when range % 5 > 0 then cast(100000000 + hash(range) % {visits // 40 + 1} as varchar) end",
        "visitor_id": f"'v' || (hash(range * 3) % {visits // 20 + 1})",
        "occurred_at": "strftime(timestamp '2025-01-01' + to_milliseconds(cast(range * 31536e6 / "
        f"{visits} as bigint)), '%Y-%m-%dT%H:%M:%S.%gZ')",
        "page_url": "'https://www.routepilot.example' || ['/pricing', '/demo', '/', '/blog/cut-fuel-costs',"
        " '/blog/driver-safety', '/customers', '/product/telematics', '/careers']"
        "[1 + cast(hash(range * 5) % 8 as int)]",
        "page_title": "'Fleet software'",
        "referrer": "case when range % 3 = 0 then 'https://www.google.com/' end",
        "utm_source": "case when range % 3 = 1 then 'linkedin' end",
        "utm_medium": "case when range % 3 = 1 then 'paid_social' end",
        "utm_campaign": "case when range % 7 = 1 then 'newsletter' end",
        "is_deleted": "false",
        RECORD_KEY: key,
        UPDATED_AT: "cast(null as varchar)",
    }
    names = batch_schema(TABLE).names
    return ", ".join(f"{values.get(name, 'cast(null as varchar)')} as {name}" for name in names)


def _write(path: Path, select: str) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"copy ({select}) to '{path}' (format parquet, row_group_size 50000)")
