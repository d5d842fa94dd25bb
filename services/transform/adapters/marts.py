"""What the service reads from the warehouse around a build, and clears away after one that was stopped."""

import re
from typing import Any, Final

import sqlalchemy as sa

from services.transform.domain.run_results import NodeResult
from shared.errors import GtmError
from shared.logging import get_logger
from shared.warehouse import Warehouse

log = get_logger(__name__)

_RELATION: Final = re.compile(r"\w+\.\w+")
# What dbt calls a relation until it takes its place, and one that has lost it.
_LEFTOVER: Final = re.compile(r"__dbt_(tmp|backup)", re.I)
_OURS: Final = ("analytics", "analytics_staging", "analytics_failures")


def has_raw_tables(warehouse: Warehouse) -> bool:
    """Whether any sync has ever landed: it creates all RAW tables at once."""
    return _has_table(warehouse, "raw", "hubspot_companies")


def has_loads_table(warehouse: Warehouse) -> bool:
    """Whether a sync of this version has landed: an earlier one's RAW lacks tables that the project reads."""
    return _has_table(warehouse, "raw", "loads")


def read_quarantine_counts(warehouse: Warehouse) -> dict[str, int] | None:
    """Distinct RAW rows in quarantine by RAW table; tables without any are left out. None where the warehouse refuses:
    the marts are built and tested without them."""
    try:
        return _quarantine_counts(warehouse)
    except (GtmError, sa.exc.SQLAlchemyError) as error:
        log.warning("quarantine_not_counted", reason=str(getattr(error, "orig", error)))
        return None


def _quarantine_counts(warehouse: Warehouse) -> dict[str, int]:
    if not _has_table(warehouse, "analytics", "quarantine_rows"):
        return {}
    statement = sa.text(
        "select source_table, count(distinct source_system || '|' || source_record_id)"
        " from analytics.quarantine_rows group by source_table order by source_table"
    )
    with warehouse.core() as connection:
        return {table: int(rows) for table, rows in connection.execute(statement).all()}


def read_failing_rows(warehouse: Warehouse, test: NodeResult, limit: int) -> list[dict[str, Any]]:
    """Some of the rows that a test found: where it kept them, else by its own compiled query again."""
    rows = read_stored_rows(warehouse, test.rows_in, limit=limit, offset=0) if test.rows_in else None
    if rows is not None:
        return rows
    with warehouse.core() as connection:
        found = connection.exec_driver_sql(
            f"select * from ({test.compiled_sql}) as failing limit {limit}"  # nosec B608
        )
        return _with_lower_names(found)


def _with_lower_names(found: sa.CursorResult[Any]) -> list[dict[str, Any]]:
    """As the project writes them; Snowflake answers in capitals."""
    return [{name.lower(): value for name, value in row.items()} for row in found.mappings()]


def count_stored_rows(warehouse: Warehouse, relation: str) -> int | None:
    """Rows that a test has kept. None when they are gone."""
    if not _RELATION.fullmatch(relation) or not _has_table(warehouse, *relation.lower().split(".")):
        return None
    with warehouse.core() as connection:
        return int(connection.exec_driver_sql(f"select count(*) from {relation}").scalar_one())  # nosec B608


def read_stored_rows(warehouse: Warehouse, relation: str, *, limit: int, offset: int) -> list[dict[str, Any]] | None:
    """Rows that a test has kept, in the order of their values, so that pages fit. None when they are gone."""
    if not _RELATION.fullmatch(relation) or not _has_table(warehouse, *relation.lower().split(".")):
        return None
    with warehouse.core() as connection:
        columns = connection.exec_driver_sql(f"select * from {relation} limit 0").keys()  # nosec B608
        order = ", ".join(str(number) for number in range(1, len(columns) + 1))
        rows = connection.exec_driver_sql(
            f"select * from {relation} order by {order} limit {int(limit)} offset {int(offset)}"  # nosec B608
        )
        return _with_lower_names(rows)


def drop_leftovers(warehouse: Warehouse) -> list[str]:
    """Drop what a stopped dbt had not put in its place yet, or had not thrown away; every mart itself is whole.

    Only who holds the warehouse may call it: during a build these are at work.
    """
    listing = sa.text("select table_schema, table_name, table_type from information_schema.tables")
    with warehouse.core() as connection:
        found = [
            (f"{schema}.{name}", "view" if kind.upper() == "VIEW" else "table")
            for schema, name, kind in connection.execute(listing).all()
            if schema.lower() in _OURS and _LEFTOVER.search(name)
        ]
    if found:
        with warehouse.core(write=True) as connection:
            for relation, kind in found:
                connection.exec_driver_sql(f"drop {kind} if exists {relation}")
        log.info("leftovers_dropped", relations=[relation for relation, _ in found])
    return [relation for relation, _ in found]


def _has_table(warehouse: Warehouse, schema: str, table: str) -> bool:
    statement = sa.text(
        "select count(*) from information_schema.tables"
        " where lower(table_schema) = :schema and lower(table_name) = :table"
    )
    with warehouse.core() as connection:
        return bool(connection.execute(statement, {"schema": schema, "table": table}).scalar_one())
