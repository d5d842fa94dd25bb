"""The statements that ingest sends to Snowflake, over its protocol, to a stand-in that translates them to DuckDB."""

import hashlib
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from services.ingest.adapters.loads import record_load, record_missing
from services.ingest.adapters.raw_tables import RAW_TABLES, create_raw_tables, load_segments, loads
from services.ingest.adapters.row_hashes import rehash_older_rows
from services.ingest.domain.loads import LandedCounts, Load
from shared.warehouse import Warehouse
from tests.emulator import SnowflakeEmulator
from tests.ingest.segment_landing import Landing, batch

CONTACTS = "hubspot_contacts"
LOAD = Load("job-1", datetime(2026, 3, 1), "mock", "full", is_complete=True, is_baseline=False)


def test_a_warehouse_of_an_older_release_gets_what_it_lacks(snowflake: Warehouse) -> None:
    old = "create table raw.hubspot_companies (source_system text, source_record_id text, id text, loaded_at timestamp)"
    with snowflake.core(write=True) as connection:
        connection.execute(sa.text(old))
        connection.execute(sa.text("insert into raw.hubspot_companies (id) values ('1')"))
        create_raw_tables(connection)
        columns = "select id, hs_merged_object_ids, is_deleted from raw.hubspot_companies"
        assert [tuple(row) for row in connection.execute(sa.text(columns))] == [("1", None, None)]
    with snowflake.core(write=True) as connection:
        asked: list[str] = []
        sa.event.listen(connection, "before_cursor_execute", lambda *call: asked.append(call[2].lower()))
        create_raw_tables(connection)
    assert not [one for one in asked if one.startswith(("alter", "create", "comment"))]


def test_a_load_is_recorded_once(snowflake: Warehouse) -> None:
    with snowflake.core(write=True) as connection:
        loads.create(connection)
        load_segments.create(connection)
        for counts in (LandedCounts(2, 2, 0, 0, 0, 0), LandedCounts(2, 0, 0, 2, 0, 0), LandedCounts(3, 1, 0, 2, 0, 0)):
            record_load(connection, LOAD, {"hubspot_deals": counts})
        recorded = "select load_id, source_table, is_complete, seen, inserted, unchanged from raw.loads"
        rows = [tuple(row) for row in connection.execute(sa.text(recorded))]
    assert rows == [("job-1", "hubspot_deals", True, 3, 1, 2)]


def test_a_missing_file_is_a_load_of_no_rows(snowflake: Warehouse) -> None:
    one = LandedCounts(1, 1, 0, 0, 0, 0)
    later = replace(LOAD, load_id="job-2", loaded_at=datetime(2026, 3, 2))
    with snowflake.core(write=True) as connection:
        loads.create(connection)
        load_segments.create(connection)
        record_load(connection, LOAD, {"hubspot_deals": one, "hubspot_contacts": one})
        record_load(connection, later, {"hubspot_deals": one})
        missing = record_missing(connection, later, ["hubspot_deals"], ["hubspot_contacts", "hubspot_companies"])
        recorded = "select source_table, seen from raw.loads where load_id = 'job-2' order by 1"
        assert [tuple(row) for row in connection.execute(sa.text(recorded))] == [
            ("hubspot_contacts", 0),
            ("hubspot_deals", 1),
        ]
    assert list(missing) == ["hubspot_contacts"]


def test_rows_of_an_older_release_get_the_hash_that_duckdb_gives(snowflake: Warehouse) -> None:
    table = RAW_TABLES["hubspot_deal_contacts"]
    rows = [("1|2", "1", "2"), ("keyless:old", "Ä", None), ("keyless:older", "Ä", None)]
    with snowflake.core(write=True) as connection:
        table.create(connection)
        for key, deal_id, contact_id in rows:
            row = {"source_system": "hubspot", "source_record_id": key, "deal_id": deal_id, "contact_id": contact_id}
            of_load = {"is_deleted": contact_id is None, "load_id": "job-1", "loaded_at": LOAD.loaded_at}
            connection.execute(sa.insert(table), {**row, **of_load, "row_hash": key.removeprefix("keyless:")})
        rehash_older_rows(connection, [table.name])
        keys = f"select source_record_id, row_hash from raw.{table.name} order by 1"
        after = [tuple(row) for row in connection.execute(sa.text(keys))]
    with_key, keyless = (
        hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
        for text in ("contact_id:1:2|deal_id:1:1|", "deal_id:1:Ä|deleted")
    )
    assert after == [("1|2", with_key), (f"keyless:{keyless}", keyless)]


def test_a_segment_lands_by_put_copy_and_one_merge(snowflake: Warehouse, tmp_path: Path) -> None:
    """Files go to the table's own stage; the MERGE reads only what lies between the least and the greatest key."""
    asked: list[str] = []
    sa.event.listen(sa.Engine, "before_cursor_execute", lambda *call: asked.append(call[2].lower()))
    landing, row = Landing(snowflake, tmp_path / "it's spool"), {"id": "1", "email": "ä@b.example"}
    counts = landing.land(batch(CONTACTS, row, {"id": "2"}, {**row, "updated_at": "2026-01-02"}))[CONTACTS]
    assert counts == LandedCounts(seen=3, inserted=2, updated=0, unchanged=0, duplicates=1, rejected=0)
    rows = batch(CONTACTS, {"id": "2", "email": "c"}, {"id": "3"}, is_scan=True)
    counts = landing.land(rows, job="job-2", ended=[CONTACTS])[CONTACTS]
    assert counts == LandedCounts(seen=2, inserted=1, updated=1, unchanged=0, duplicates=0, rejected=0, deleted=1)
    counts = landing.land(rows, batch(CONTACTS, replaces=("id", ["9"])), job="job-3")[CONTACTS]
    assert (counts.unchanged, counts.changed) == (2, 0)
    with snowflake.core() as connection:
        stored = connection.execute(sa.text(f"select id, email, is_deleted from raw.{CONTACTS} order by id"))
        assert [tuple(one) for one in stored] == [("1", "ä@b.example", True), ("2", "c", False), ("3", None, False)]
    merges = [one for one in asked if one.startswith(f"merge into raw.{CONTACTS}")]
    assert len(merges) == 3 and all("stored.source_record_id between" in one for one in merges)
    assert [one.split()[0] for one in asked if one.startswith(("put", "copy"))] == ["put", "copy"] * 4


def test_a_table_of_several_files_is_one_copy(
    snowflake: Warehouse, emulator: SnowflakeEmulator, tmp_path: Path
) -> None:
    files = [tmp_path / f"{number}.parquet" for number in range(3)]
    for number, file in enumerate(files):
        pq.write_table(pa.table({"id": [f"{number}-{place}" for place in range(number + 1)]}), file)
    emulator.reset()
    with snowflake.core(write=True) as connection:
        snowflake.load_parquet(connection, "rows_of_files", files, owner="job-1")
        found = connection.exec_driver_sql("select id from rows_of_files order by id").scalars().all()
    assert found == ["0-0", "1-0", "1-1", "2-0", "2-1", "2-2"]
    kinds = emulator.statements()["by_kind"]
    assert (kinds["put"], kinds["copy"]) == (3, 1)
