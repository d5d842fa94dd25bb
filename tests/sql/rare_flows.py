"""What the product does on few days, on a warehouse that `flows.py` has filled; and what an operator does."""

import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from services.ingest.adapters.landed_loads import find_missing_loads, read_counts
from services.ingest.adapters.raw_tables import create_raw_tables
from services.ingest.adapters.schema_changes import record_schema_changes
from services.ingest.domain.schema_drift import SchemaChange
from services.ingest.domain.sources import Reject, SourceBatch
from services.scoring.adapters.outbound import read_leads
from services.scoring.adapters.outbound_tables import SCHEMA, create_outbound_tables
from services.scoring.adapters.witnesses import find_witnesses
from services.transform.adapters.marts import count_stored_rows, drop_leftovers, read_stored_rows
from services.transform.adapters.public_suffixes import create_public_suffixes
from shared.doctor.snowflake import examine_snowflake
from shared.errors import TerminalError
from shared.settings import WarehouseSettings
from shared.warehouse.setup import main_of
from shared.warehouse.tables import refuse_if_hidden
from tests.conftest import REPOSITORY, wait_until
from tests.ingest.segment_landing import batch
from tests.sql.flows import COMPANIES, SCORED, Product, a_lead
from tests.sql.wire import Wire

_LATE: Final = batch("hubspot_contacts", {"id": "C-late", "email": "late@falkor.example"})


def run_rare_ways(product: Product, folder: Path, wire: Wire) -> None:
    """What a pipeline does on few days: keyless and rejected rows, tombstones, an older release's tables, tiers by
    capacity, leads of former prospects, dry runs, a build that fails, one from scratch with clustered tables and a
    larger warehouse, during which a load lands."""
    _land_the_unusual(product)
    _upgrade(product)
    product.score("scoring-3", limit=SCORED, dry_run=True, force=True)
    _lose_a_prospect(product)
    product.scoring = {"GTM_TIER_BY": "capacity", "GTM_TIER_A_ACCOUNTS": 1, "GTM_TIER_B_ACCOUNTS": 2}
    product.score("scoring-4", limit=SCORED, force=True)
    product.score("scoring-4", limit=SCORED, force=True)  # a second attempt of the same job
    product.score("scoring-5", scope={"account_ids": [a_lead(product), "hubspot:none"]})
    with product.warehouse.core() as connection:
        refuse_if_hidden(connection, "analytics.dim_accounts")  # where no table of ours is listed
    find_witnesses(product.warehouse, {a_lead(product)}, 2)  # of scorings whose model server fails
    read_leads(
        product.warehouse, limit=3, tier="A", min_score=1, cursor=read_leads(product.warehouse, limit=1).next_cursor
    )
    _fail_a_build(product, folder)
    product.building = {"GTM_DBT_WAREHOUSE_LARGE": "gtm_large_wh", "GTM_DBT_CLUSTER_EVENTS": True}
    with _landing_when(wire, "base_hubspot__contacts", lambda: product.land("sync-10", _LATE)):
        product.build("build-5", full_refresh=True)


@contextmanager
def _landing_when(wire: Wire, made: str, land: Callable[[], None]) -> Iterator[None]:
    """`land` as soon as a relation of that name has been made, while the block goes on."""
    begins = wire.record.stat().st_size
    is_made = re.compile(rf"create[^;]{{0,80}}table[^;]{{0,40}}{made}\b", re.IGNORECASE)

    def wait_and_land() -> None:
        wait_until(lambda: is_made.search(wire.record.read_text()[begins:]) is not None, f"{made} is made", seconds=600)
        land()

    with ThreadPoolExecutor(1) as pool:
        landed = pool.submit(wait_and_land)
        yield
        landed.result()


def run_tools() -> None:
    """`gtm warehouse init` for each service, shown and done; `gtm doctor`."""
    for prepare in (("core", ["raw"], create_raw_tables), ("core", ["raw", "analytics"], create_public_suffixes)):
        main_of(*prepare, ["--dry-run"])  # type: ignore[arg-type]  # mypy makes the tuple's first a str
        main_of(*prepare, [])  # type: ignore[arg-type]  # likewise
    main_of("outbound", [SCHEMA], create_outbound_tables, ["--dry-run"])
    main_of("outbound", [SCHEMA], create_outbound_tables, [])
    settings = WarehouseSettings()
    assert [one.outcome for one in examine_snowflake(settings, ("ingest", "transform", "scoring"))]


def _land_the_unusual(product: Product) -> None:
    reject = Reject("deals.csv", 7, "too many columns", "a,b,c")
    unusual = batch("hubspot_deals", {"dealname": "no key"}, {"id": "D1"}, {"id": "D1", "updated_at": "2026-02-01"})
    product.land("sync-4", SourceBatch(unusual.table, unusual.rows, (reject,)), complete=True)
    rows = [{"id": str(number)} for number in range(3)]
    few = batch("hubspot_email_campaigns", *rows, is_scan=True)
    product.land("sync-5", few, ended=(few.table,), accept_volume=True)
    product.land("sync-6", batch(few.table, rows[0], is_scan=True), ended=(few.table,), accept_volume=True)
    product.land("sync-11", batch(few.table, rows[0], is_scan=True), ended=(few.table,))  # its volume is looked at
    pair = {"deal_id": "D1", "contact_id": "C1"}
    product.land("sync-7", batch("hubspot_deal_contacts", pair, key=("deal_id", "contact_id")))
    product.land("sync-8", batch("hubspot_deal_contacts", key=("deal_id", "contact_id"), replaces=("deal_id", ["D1"])))
    change = SchemaChange(COMPANIES, "region", "added", None, "string")
    record_schema_changes(product.warehouse, "sync-8", "hubspot", [change], datetime(2026, 3, 1))
    find_missing_loads(product.warehouse, {"sync-1", "gone"})
    read_counts(product.warehouse, "sync-1", ["seen"])


def _upgrade(product: Product) -> None:
    """RAW and the outbound tables as an older release left them: columns that are missing, hashes of another kind."""
    with product.warehouse.core(write=True) as connection:
        connection.execute(sa.text("alter table raw.hubspot_contacts drop column salesforce_lead_id"))
        connection.execute(sa.text(f"update raw.{COMPANIES} set row_hash = 'older'"))
        connection.execute(sa.text("alter table reverse_etl_outbound.lead_scores drop column is_active"))
    product.land("sync-9", batch(COMPANIES, {"id": "C-new"}))
    read_leads(product.warehouse, limit=1)
    product.rescore("rescore-4", account_id=a_lead(product), force=True)


def _lose_a_prospect(product: Product) -> None:
    with product.warehouse.core(write=True) as connection:
        gone = "update analytics.dim_accounts set is_active_prospect = not is_active_prospect where account_id = :one"
        connection.execute(sa.text(gone), {"one": a_lead(product)})


def _fail_a_build(product: Product, folder: Path) -> None:
    """Tests that find rows keep them in tables, from which the API reads."""
    project = broken_project(folder)
    with suppress(TerminalError):
        product.try_build("build-4", project_dir=project)
    relation = "analytics_failures.assert_nobody_is_here"
    assert count_stored_rows(product.warehouse, relation)
    assert read_stored_rows(product.warehouse, relation, limit=5, offset=0)
    with product.warehouse.core(write=True) as connection:
        connection.exec_driver_sql("create table analytics.dim_accounts__dbt_tmp (account_id varchar)")
    drop_leftovers(product.warehouse)


def broken_project(folder: Path) -> Path:
    """dbt's project with a test that finds every account."""
    project = folder / "broken_dbt"
    shutil.copytree(REPOSITORY / "dbt_transform", project)
    test = project / "tests" / "singular" / "assert_nobody_is_here.sql"
    test.write_text("select account_id, account_name, dbt_run_id from {{ ref('dim_accounts') }}")
    return project
