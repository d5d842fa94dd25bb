"""The accounts of a load, before its build and after it, on a real warehouse with the identity models by hand."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from services.ingest.adapters.raw_tables import RAW_TABLES, create_raw_tables, loads
from services.transform.adapters.load_changes import LoadChanges
from shared.settings import WarehouseSettings
from shared.warehouse import Warehouse, open_warehouse

NOW = datetime(2026, 1, 1)
MODELS = {
    "int_accounts_matched": "account_id, source_system, source_record_id",
    "int_contacts_matched": "account_id, source_system, record_type, contact_id",
    "int_opportunities_unioned": "account_id, source_system, source_record_id",
}


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """RAW is there, and nothing else."""
    opened = open_warehouse(WarehouseSettings(GTM_DATA_DIR=tmp_path / "var"))
    with opened.core(write=True) as connection:
        create_raw_tables(connection)
    return opened


def build(warehouse: Warehouse, **models: Sequence[Sequence[str | None]]) -> None:
    """Stands for dbt: the models hold these rows and no others."""
    with warehouse.core(write=True) as connection:
        connection.execute(sa.text("create schema if not exists analytics_staging"))
        connection.execute(sa.text("create schema if not exists analytics"))
        for name, columns in MODELS.items():
            names = columns.split(", ")
            types = ", ".join(f"{one} varchar" for one in names)
            connection.execute(sa.text(f"create or replace table analytics_staging.{name} ({types})"))
            for row in models.get(name, ()):
                marks = ", ".join(f":{one}" for one in names)
                values = dict(zip(names, row, strict=True))
                connection.execute(sa.text(f"insert into analytics_staging.{name} values ({marks})"), values)


def land(warehouse: Warehouse, load_id: str, table: str, rows: Iterable[dict[str, Any]], mode: str = "records") -> None:
    with warehouse.core(write=True) as connection:
        counts = dict.fromkeys(("seen", "inserted", "updated", "unchanged", "duplicates", "rejected", "deleted"), 0)
        record: dict[str, Any] = {"load_id": load_id, "source_table": table, "source": "hubspot", "mode": mode}
        record |= {"source_system": table.split("_")[0], "is_complete": False, "is_baseline": False, "loaded_at": NOW}
        connection.execute(sa.insert(loads), record | counts)
        for row in rows:
            metadata = {"source_system": table.split("_")[0], "is_deleted": False, "row_hash": "x", "load_id": load_id}
            connection.execute(sa.insert(RAW_TABLES[table]), {**metadata, "loaded_at": NOW, **row})


def accounts(warehouse: Warehouse, load_id: str) -> set[str]:
    with warehouse.core() as connection:
        query = sa.text("select account_id from analytics.load_accounts where load_id = :load_id")
        return set(connection.scalars(query, {"load_id": load_id}))


def test_a_contact_that_moved_and_a_company_that_is_gone_count_for_what_they_left(warehouse: Warehouse) -> None:
    pair = [("hubspot:1", "hubspot", "1"), ("hubspot:1", "salesforce", "A"), ("hubspot:2", "hubspot", "2")]
    others = [("hubspot:3", "hubspot", "3"), ("hubspot:4", "hubspot", "4")]
    contact = ("hubspot:2", "hubspot", "contact", "7")
    build(warehouse, int_accounts_matched=[*pair, *others], int_contacts_matched=[contact])
    land(warehouse, "L", "hubspot_companies", [{"source_record_id": "1", "is_deleted": True}])
    land(warehouse, "L", "hubspot_contacts", [{"source_record_id": "7", "company_id": "3"}])
    changes = LoadChanges(warehouse, "L", ["L"])
    assert changes.tables == ["hubspot_companies", "hubspot_contacts"]
    changes.remember()
    moved = ("hubspot:3", "hubspot", "contact", "7")
    after = [("salesforce:A", "salesforce", "A"), pair[2], *others]
    build(warehouse, int_accounts_matched=after, int_contacts_matched=[moved])
    again = LoadChanges(warehouse, "L", ["L"])  # another attempt, after a kill: what was before is remembered
    again.remember()
    assert again.publish() == 3
    assert accounts(warehouse, "L") == {"salesforce:A", "hubspot:2", "hubspot:3"}
    assert again.publish() == 3, "a repeat gives the same"


def test_a_deal_counts_for_the_accounts_before_and_after(warehouse: Warehouse) -> None:
    matched = [("hubspot:1", "hubspot", "1"), ("hubspot:2", "hubspot", "2"), ("salesforce:9", "salesforce", "9")]
    build(warehouse, int_accounts_matched=matched, int_opportunities_unioned=[("hubspot:1", "hubspot", "50")])
    land(warehouse, "L", "hubspot_deals", [{"source_record_id": "50", "company_id": "2"}])
    land(warehouse, "L", "salesforce_opportunities", [{"source_record_id": "50", "account_id": "9"}])
    changes = LoadChanges(warehouse, "L", ["L"])
    changes.remember()
    changes.publish()
    assert accounts(warehouse, "L") == {"hubspot:1", "hubspot:2", "salesforce:9"}, "an id is its own system's alone"


def test_loads_of_changed_records_that_no_build_took_up_count_others_are_only_built(warehouse: Warehouse) -> None:
    build(warehouse, int_accounts_matched=[(f"hubspot:{one}", "hubspot", one) for one in "123"])
    land(warehouse, "missed", "hubspot_companies", [{"source_record_id": "1"}])
    land(warehouse, "nightly", "salesforce_tasks", [{"source_record_id": "8"}], mode="incremental")
    land(warehouse, "nightly", "hubspot_companies", [{"source_record_id": "2"}], mode="incremental")
    land(warehouse, "L", "hubspot_companies", [{"source_record_id": "3"}])
    land(warehouse, "L", "hubspot_deals", [])
    changes = LoadChanges(warehouse, "L", ["L", "missed", "nightly"])
    assert changes.tables == [
        "hubspot_companies",
        "salesforce_tasks",
    ], "a table that was read and not changed is as built"
    changes.remember()
    changes.publish()
    assert accounts(warehouse, "L") == {"hubspot:1", "hubspot:3"}


def test_before_the_first_build_there_is_nothing_to_remember(warehouse: Warehouse) -> None:
    land(warehouse, "L", "hubspot_companies", [{"source_record_id": "1"}])
    changes = LoadChanges(warehouse, "L", ["L"])
    changes.remember()
    build(warehouse, int_accounts_matched=[("hubspot:1", "hubspot", "1")])
    changes.remember()
    assert changes.publish() == 1
