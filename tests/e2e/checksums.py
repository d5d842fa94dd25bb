"""What the warehouse holds, as one checksum a table, to show that a repeat changed nothing."""

import sqlalchemy as sa

from shared.warehouse import Warehouse

_AUDIT_COLUMNS = ("job_id", "dbt_run_id", "dbt_updated_at")  # of ANALYTICS: they say when, not what
_RECORDS = (  # of what was read, and when
    "raw.loads",
    "raw.load_segments",
    "analytics.fct_loads",
    "analytics.fct_source_checks",
)


def read_checksums(warehouse: Warehouse) -> dict[str, tuple[int, str]]:
    """Table -> rows and checksum, over RAW, ANALYTICS and REVERSE_ETL_OUTBOUND, whatever the rows' order.

    What records each load is left out: a repeat is one more.
    """
    checksums = {}
    with warehouse.core_beside_outbound() as connection:
        listing = (
            "select table_schema, table_name from information_schema.tables where table_catalog = 'memory'"
            " and table_schema in ('raw', 'analytics', 'reverse_etl_outbound') order by all"
        )
        for schema, table in connection.execute(sa.text(listing)).all():
            if f"{schema}.{table}" in _RECORDS:
                continue
            kept = "*"
            if schema == "analytics":
                columns = {name for (name,) in connection.execute(_columns(schema, table)).all()}
                audit = [name for name in _AUDIT_COLUMNS if name in columns]
                kept = f"* exclude ({', '.join(audit)})" if audit else "*"
            sql = (
                "select count(*), coalesce(md5(string_agg(line, '' order by line)), '')"
                f" from (select md5(cast(t as varchar)) as line from (select {kept} from {schema}.{table}) as t)"
            )
            rows, checksum = connection.execute(sa.text(sql)).one()
            checksums[f"{schema}.{table}"] = (rows, checksum)
    return checksums


def count_rows(warehouse: Warehouse, table: str, condition: str = "true") -> int:
    """Rows of any table of the three schemas and of the staging views."""
    with warehouse.core_beside_outbound() as connection:
        return int(connection.execute(sa.text(f"select count(*) from {table} where {condition}")).scalar_one())


def _columns(schema: str, table: str) -> sa.TextClause:
    sql = "select column_name from information_schema.columns where table_schema = :schema and table_name = :table"
    return sa.text(sql).bindparams(schema=schema, table=table)
