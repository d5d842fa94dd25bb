"""What the flow reads from the warehouse around a build."""

from typing import Any

import sqlalchemy as sa

from shared.warehouse import Warehouse


def has_raw_tables(warehouse: Warehouse) -> bool:
    """Whether any sync has ever landed: it creates all RAW tables at once."""
    return _has_table(warehouse, "raw", "hubspot_companies")


def read_quarantine_counts(warehouse: Warehouse) -> dict[str, int]:
    """Distinct RAW rows in quarantine by RAW table; tables without any are left out."""
    if not _has_table(warehouse, "analytics", "quarantine_rows"):
        return {}
    statement = sa.text(
        "select source_table, count(distinct source_system || '|' || source_record_id)"
        " from analytics.quarantine_rows group by source_table order by source_table"
    )
    with warehouse.core() as connection:
        return {table: int(rows) for table, rows in connection.execute(statement).all()}


def read_failing_rows(warehouse: Warehouse, test_sql: str, limit: int) -> list[dict[str, Any]]:
    """Some of the rows that a test finds. `test_sql` is dbt's own compiled query."""
    with warehouse.core() as connection:
        rows = connection.exec_driver_sql(f"select * from ({test_sql}) as failing limit {limit}")  # nosec B608
        return [dict(row) for row in rows.mappings()]


def _has_table(warehouse: Warehouse, schema: str, table: str) -> bool:
    statement = sa.text(
        "select count(*) from information_schema.tables"
        " where lower(table_schema) = :schema and lower(table_name) = :table"
    )
    with warehouse.core() as connection:
        return bool(connection.execute(statement, {"schema": schema, "table": table}).scalar_one())
