"""What a burst of webhook events is judged by: how long senders waited, which jobs came of it, what the leads say."""

import statistics
from collections.abc import Sequence
from typing import Any

import httpx
import sqlalchemy as sa

from shared.warehouse import Warehouse
from tests.conftest import wait_until


def tell_waits(waits: Sequence[float]) -> str:
    """Median and 99th percentile of seconds, in words."""
    cuts = statistics.quantiles(waits, n=100, method="inclusive")
    return f"p50 {cuts[49] * 1000:.0f} ms, p99 {cuts[98] * 1000:.0f} ms"


def read_jobs(base: str, kind: str) -> list[dict[str, Any]]:
    """All jobs of a kind, page by page."""
    params: dict[str, Any] = {"kind": kind, "limit": 100}
    items: list[dict[str, Any]] = []
    while True:
        page = httpx.get(f"{base}/v1/jobs", params=params, timeout=20).json()
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        params["cursor"] = page["next_cursor"]


def wait_for_quiet(base: str, kind: str) -> None:
    """Until every job of the kind has ended."""
    ended = ("succeeded", "failed", "cancelled")
    wait_until(
        lambda: all(job["state"] in ended for job in read_jobs(base, kind)), f"no {kind} is left", seconds=800, poll=0.3
    )


def read_leads(warehouse: Warehouse, accounts: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """account_id -> name, hashes and baseline of its lead; each account must have one."""
    return _by_account(warehouse, "reverse_etl_outbound.lead_scores", accounts)


def read_marts(warehouse: Warehouse, accounts: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """The same as dim_accounts has it."""
    return _by_account(warehouse, "analytics.dim_accounts", accounts)


def _by_account(warehouse: Warehouse, table: str, accounts: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    query = sa.text(f"select account_id, account_name, profile_hash, facts_hash, baseline_score from {table}")
    with warehouse.core_beside_outbound() as connection:
        rows = [tuple(row) for row in connection.execute(query).all()]
    found = {row[0]: row[1:] for row in rows if row[0] in set(accounts)}
    assert len(found) == len(accounts)
    return found
