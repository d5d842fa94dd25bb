"""What each step of the product asked of the warehouse, as a table: statements, and bytes as `scans.py` estimates."""

from collections import Counter
from collections.abc import Sequence

from tests.sql.scans import Catalog, estimate
from tests.sql.wire import Statement, Wire


def cost_table(wire: Wire, catalog: Catalog) -> str:
    """Markdown. `need it`: statements that need a running warehouse; the others are answered by the cloud services."""
    catalog.note_views(wire.statements())
    lines = [
        "| step | statements | need it | queries | merges, inserts, deletes | PUT + COPY | DDL | MB read, at most |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, statements in wire.by_step().items():
        lines.append(f"| {name} | {' | '.join(_cells(statements, catalog))} |")
    rows = sum(catalog.rows.values())
    stored = sum(catalog.whole(table) for table in catalog.sizes) / 1e6
    lines.append(f"\nin {len(catalog.sizes)} tables: {rows:,} rows, {stored:,.1f} MB")
    return "\n".join(lines)


def _cells(statements: Sequence[Statement], catalog: Catalog) -> list[str]:
    kinds = Counter(one.kind for one in statements)
    queries = sum(one.kind == "select" and one.wakes for one in statements)
    changes = sum(kinds[kind] for kind in ("merge", "insert", "delete", "update"))
    scans = [estimate(one, catalog) for one in statements]
    megabytes = sum(scan.bytes_read for scan in scans) / 1e6
    is_exact = all(scan.is_exact for scan in scans)
    waking = sum(one.wakes for one in statements)
    counts = (len(statements), waking, queries, changes, kinds["put"] + kinds["copy"], kinds["ddl"])
    return [*(f"{count:,}" for count in counts), f"{'' if is_exact else '<= '}{megabytes:,.2f}"]
