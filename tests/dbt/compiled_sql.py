"""The SQL that the shared builds ran, to run again on tables of one's own: dbt needs seconds to start, this none."""

import re
from pathlib import Path

import duckdb

from tests.transform.builds import AUDIT_COLUMNS, BuiltTwice


class CompiledModel:
    """An incremental model: as the first build made its table, and as the second one looked for what differs."""

    def __init__(self, built: BuiltTwice, schema: str, path: str) -> None:
        self.name = f"{schema}.{Path(path).stem}"
        first = built.house.settings.dbt_dir / "runs" / "first" / "target"
        second = built.house.data_dir / "plain" / "target"
        self.full = (first / "compiled" / "fleet_gtm" / "models" / path).read_text()
        self._comparison = (second / "compiled" / "fleet_gtm" / "models" / path).read_text()
        self._replacement = (second / "run" / "fleet_gtm" / "models" / path).read_text()

    def build_full(self, connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute(f"create or replace table {self.name} as {self.full}")

    def build_incrementally(self, connection: duckdb.DuckDBPyConnection) -> int:
        """Returns the number of keys that were replaced or removed."""
        (temporary,) = set(re.findall(r"\w+__dbt_tmp\w*", self._replacement))
        connection.execute(f"create or replace temporary table {temporary} as {self._comparison}")
        connection.execute(self._replacement)
        (changed,) = connection.execute(f"select count(*) from {temporary}").fetchall()
        return int(changed[0])

    def differences(self, connection: duckdb.DuckDBPyConnection) -> list[tuple[object, ...]]:
        """Rows that the table holds and a full refresh would not, or the other way round; audit columns aside."""
        columns = f"columns(name -> name not in {AUDIT_COLUMNS})"
        stored, expected = f"select {columns} from {self.name}", f"select {columns} from ({self.full})"
        return connection.execute(
            f"(({stored}) except all ({expected})) union all (({expected}) except all ({stored}))"
        ).fetchall()


def new_warehouse(built: BuiltTwice, folder: Path, tables: list[str]) -> duckdb.DuckDBPyConnection:
    """A file of the shared build's name with empty tables (or views' columns) of the same shape."""
    connection = duckdb.connect(str(folder / "core.duckdb"))
    connection.execute("create schema analytics; create schema analytics_staging")
    for table in tables:
        schema, name = table.split(".")
        shape = built.house.rows(
            "select column_name, data_type from information_schema.columns"
            f" where table_schema = '{schema}' and table_name = '{name}' order by ordinal_position"
        )
        connection.execute(f"create table {table} ({', '.join(f'{column} {kind}' for column, kind in shape)})")
    return connection
