"""One row per key in RAW, though DuckDB has no index that says so."""

import random
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from services.ingest.adapters.raw_tables import RAW_TABLES, create_raw_tables
from shared.settings import WarehouseSettings
from shared.warehouse import Warehouse, open_warehouse
from tests.ingest.conftest import Land, Query
from tests.ingest.segment_landing import Landing, batch

TABLE = "hubspot_contacts"
STORED = f"select source_record_id, email, is_deleted from raw.{TABLE} order by 1"


def expected(truth: dict[str, dict[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted((key, row["email"], bool(row.get("is_deleted"))) for key, row in truth.items())


@pytest.mark.parametrize("seed", [1])
def test_whatever_comes_in_whatever_sizes_raw_has_each_key_once(
    warehouse: Warehouse, tmp_path: Path, query: Query, seed: int
) -> None:
    """Loads much smaller than the table and larger, with copies of a record in one load, deletions and returns."""
    chosen, landing, truth = random.Random(seed), Landing(warehouse, tmp_path / "spool"), dict[str, dict[str, Any]]()
    for number in range(8):
        count = chosen.choice([1, 5, 40, 400])
        rows = [
            {"id": str(chosen.randrange(500)), "email": f"{chosen.randrange(5)}@a.example", "is_deleted": False}
            for _ in range(count)
        ]
        for row in rows:
            row["is_deleted"] = chosen.random() < 0.1
            truth[str(row["id"])] = row
        half = count // 2
        counts = landing.land(batch(TABLE, *rows[:half]), batch(TABLE, *rows[half:]), job=f"job-{number}")[TABLE]
        assert counts.seen == counts.inserted + counts.updated + counts.unchanged + counts.duplicates == count
        assert query(STORED) == expected(truth)
        assert landing.land(batch(TABLE, *rows), job=f"again-{number}")[TABLE].changed == 0


def test_duckdb_keeps_no_index_of_the_keys(query: Query) -> None:
    keyed = "select table_name from duckdb_constraints() where constraint_type = 'PRIMARY KEY' and schema_name = 'raw'"
    assert not {name for (name,) in query(keyed)} & RAW_TABLES.keys()


def test_a_table_of_an_older_release_loses_its_key_and_nothing_else(
    land: Land, query: Query, warehouse: Warehouse
) -> None:
    rows = [{"id": str(number), "email": f"{number}@a.example"} for number in range(30)]
    land(TABLE, rows)
    before = query(f"select * from raw.{TABLE} order by all")
    names = ", ".join(column.name for column in RAW_TABLES[TABLE].columns)
    with warehouse.core(write=True) as connection:  # as 0.1 made it
        connection.exec_driver_sql(f"alter table raw.{TABLE} add primary key (source_system, source_record_id)")
        connection.exec_driver_sql(f"create view analytics.reader as select id from raw.{TABLE}")
    counts = land(TABLE, [*rows[:-1], {"id": "29", "email": "new@a.example"}], job_id="job-2")
    assert (counts.updated, counts.unchanged) == (1, 29)
    assert query(f"select {names} from raw.{TABLE} where id <> '29' order by all") == [
        row for row in before if row[1] != "29"
    ]
    comments = f"select comment from duckdb_tables() where table_name = '{TABLE}'"
    assert "unchanged text from the source" in query(comments)[0][0]
    assert query("select count(*) from analytics.reader") == [(30,)]
    test_duckdb_keeps_no_index_of_the_keys(query)


def test_who_creates_tables_twice_changes_nothing(tmp_path: Path) -> None:
    warehouse = open_warehouse(WarehouseSettings(GTM_DATA_DIR=tmp_path))  # type: ignore[call-arg]
    columns = "select table_name, column_name, data_type from information_schema.columns order by all"
    found = []
    for _ in range(2):
        with warehouse.core(write=True) as connection:
            create_raw_tables(connection)
            found.append(connection.execute(sa.text(columns)).all())
    assert found[0] == found[1]
