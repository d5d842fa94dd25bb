"""Snowflake lists no table that the role has no privilege on: not seen is not taken for not there yet."""

from pathlib import Path

import pytest

from services.scoring.adapters.marts import count_load_accounts, has_load_accounts, require_marts
from services.scoring.adapters.outbound import read_lead, read_leads
from services.scoring.adapters.outbound_tables import lead_scores
from services.transform.flow import _require_raw
from shared.errors import TerminalError
from shared.settings import WarehouseSettings
from shared.warehouse import Warehouse, open_warehouse
from shared.warehouse.tables import create_table
from tests.emulator import SnowflakeEmulator

TABLES = ("raw.hubspot_companies", "raw.loads", "analytics.dim_accounts", "analytics.fct_account_score_factors")
LOAD_ACCOUNTS = "analytics.load_accounts"


@pytest.fixture
def filled(snowflake: Warehouse) -> Warehouse:
    """All is there and may be read."""
    with snowflake.core() as connection:
        for schema in ("raw", "analytics", "reverse_etl_outbound"):
            connection.exec_driver_sql(f"create schema {schema}")
        for table in TABLES:
            connection.exec_driver_sql(f"create table {table} (facts_hash varchar)")
        connection.exec_driver_sql(f"create table {LOAD_ACCOUNTS} (load_id varchar, account_id varchar)")
        create_table(connection, lead_scores)
    return snowflake


def test_a_page_of_leads_is_not_empty_because_they_are_hidden(filled: Warehouse, emulator: SnowflakeEmulator) -> None:
    assert read_leads(filled, limit=10).items == []
    emulator.fail(at="hidden", table="REVERSE_ETL_OUTBOUND.LEAD_SCORES", times=0)
    for read in (lambda: read_leads(filled, limit=10), lambda: read_lead(filled, "hubspot:1")):
        with pytest.raises(TerminalError, match="gtm doctor") as refused:
            read()
        assert refused.value.code == "warehouse-object-missing"


def test_marts_and_raw_that_are_not_seen_may_be_hidden(filled: Warehouse, emulator: SnowflakeEmulator) -> None:
    with filled.core() as connection:
        require_marts(connection)
    _require_raw(filled)
    for table in TABLES:
        emulator.fail(at="hidden", table=table.upper(), times=0)
    with pytest.raises(TerminalError, match="SNOWFLAKE_ROLE has no privilege") as missing, filled.core() as connection:
        require_marts(connection)
    assert missing.value.code == "marts-missing"
    with pytest.raises(TerminalError, match="SNOWFLAKE_ROLE has no privilege"):
        _require_raw(filled)


def test_what_a_load_changed_is_not_nothing_because_it_is_hidden(
    filled: Warehouse, emulator: SnowflakeEmulator
) -> None:
    """A rescore would end well, having scored nothing, though the marts beside it can be read."""
    assert count_load_accounts(filled, "load-1") == 0
    emulator.fail(at="hidden", table=LOAD_ACCOUNTS.upper(), times=0)
    with pytest.raises(TerminalError, match="gtm doctor") as refused:
        count_load_accounts(filled, "load-1")
    assert refused.value.code == "warehouse-object-missing"
    with pytest.raises(TerminalError) as refused, filled.core() as connection:
        has_load_accounts(connection)
    assert refused.value.code == "warehouse-object-missing"


def test_duckdb_hides_nothing(tmp_path: Path) -> None:
    warehouse = open_warehouse(WarehouseSettings(GTM_DATA_DIR=tmp_path / "var"))
    with pytest.raises(TerminalError) as missing, warehouse.core() as connection:
        require_marts(connection)
    assert "SNOWFLAKE" not in missing.value.detail
    assert read_leads(warehouse, limit=10).items == []
