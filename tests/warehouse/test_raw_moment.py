"""What a build reads of RAW while loads land, over Snowflake's protocol."""

from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from services.ingest.adapters.raw_tables import RAW_TABLES, loads
from services.transform.adapters.load_changes import LoadChanges
from shared.errors import GtmError
from shared.warehouse import Warehouse
from shared.warehouse.engine import RAW_AT
from tests.emulator import SnowflakeEmulator

CONTACTS = "raw.hubspot_contacts"


@pytest.fixture
def raw(snowflake: Warehouse) -> Warehouse:
    with snowflake.core(write=True) as connection:
        RAW_TABLES["hubspot_contacts"].create(connection)
        loads.create(connection)
    return snowflake


def land(warehouse: Warehouse, load_id: str, *keys: str) -> None:
    counts = dict.fromkeys(("seen", "inserted", "updated", "unchanged", "duplicates", "rejected", "deleted"), 0)
    load: dict[str, Any] = {"load_id": load_id, "source_table": "hubspot_contacts", "source": "hubspot"}
    load |= {"source_system": "hubspot", "mode": "records", "is_complete": False, "is_baseline": False}
    merge = (
        f"merge into {CONTACTS} as stored using (select :key as key) as changed"
        " on stored.source_record_id = changed.key when matched then update set load_id = :load_id"
        " when not matched then insert (source_system, source_record_id, is_deleted, row_hash, load_id, loaded_at)"
        " values ('hubspot', changed.key, false, 'x', :load_id, to_timestamp('2026-03-01 00:00:00'))"
    )
    with warehouse.core(write=True) as connection:
        connection.execute(sa.insert(loads), load | {"loaded_at": datetime(2026, 3, 1)} | counts)
        for key in keys:
            connection.execute(sa.text(merge), {"key": key, "load_id": load_id})


def read(warehouse: Warehouse, at: str) -> set[tuple[str, str]]:
    with warehouse.core() as connection:
        rows = connection.exec_driver_sql(f"select landed.source_record_id, load_id from {CONTACTS}{at} as landed")
        return {(row[0], row[1]) for row in rows}


def test_what_lands_during_a_build_is_not_in_it(raw: Warehouse) -> None:
    land(raw, "L1", "1", "2")
    with raw.reserve_core() as first:
        land(raw, "L2", "2", "3")  # nobody is kept out
        with raw.reserve_core() as second:
            land(raw, "L3", "1")
            assert read(raw, first[RAW_AT]) == {("1", "L1"), ("2", "L1")}
            assert read(raw, second[RAW_AT]) == {("1", "L1"), ("2", "L2"), ("3", "L2")}
    assert read(raw, "") == {("1", "L3"), ("2", "L2"), ("3", "L2")}


def test_what_a_build_takes_up_is_what_had_landed_by_its_moment(raw: Warehouse) -> None:
    land(raw, "L1", "1")
    with raw.reserve_core() as environment:
        land(raw, "L2", "1")  # overtakes the row
        at = environment[RAW_AT]
        assert LoadChanges(raw, "L1", ["L1"], at).tables == ["hubspot_contacts"]
        assert LoadChanges(raw, "L2", ["L2"], at).tables == []
    assert LoadChanges(raw, "L1", ["L1"]).tables == []


def test_the_moment_costs_one_statement_and_no_warehouse(raw: Warehouse, emulator: SnowflakeEmulator) -> None:
    emulator.reset()
    with raw.reserve_core():
        pass
    counts = emulator.statements()
    assert (counts["by_kind"]["select"], counts["warehouse"]) == (2, 0)  # one asks whether the session lives


def test_a_moment_that_the_account_has_not_kept_says_what_to_set(raw: Warehouse) -> None:
    land(raw, "L1", "1")
    with pytest.raises(GtmError, match="000707.*data_retention_time_in_days"):
        read(raw, " at(timestamp => to_timestamp(1000, 3))")
