"""The product's flows on one warehouse, one after the other, so that each statement it has is sent at least once.

Small data, the real code: mock CRM data with dirt, changed records, tombstones, rejected rows, an older release's
tables; builds whole, again, of a load, from scratch, and one that fails; scorings, rescores, what the APIs read.
"""

import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from services.ingest.adapters.landed_loads import find_missing_loads, read_counts
from services.ingest.adapters.landing import land_segment
from services.ingest.adapters.raw_tables import create_raw_tables
from services.ingest.adapters.schema_changes import record_schema_changes
from services.ingest.adapters.spool import open_spool
from services.ingest.domain.loads import Load
from services.ingest.domain.schema_drift import SchemaChange
from services.ingest.domain.sources import Reject, SourceBatch
from services.ingest.flow import sync_source
from services.ingest.settings import IngestSettings
from services.scoring.adapters.marts import count_load_accounts
from services.scoring.adapters.models import open_model
from services.scoring.adapters.outbound import read_lead, read_leads
from services.scoring.adapters.outbound_tables import SCHEMA, create_outbound_tables
from services.scoring.flow import rescore_account, score_accounts
from services.scoring.settings import ScoringSettings
from services.transform.adapters.coverage import Coverage
from services.transform.adapters.marts import count_stored_rows, drop_leftovers, read_stored_rows
from services.transform.adapters.public_suffixes import create_public_suffixes
from services.transform.domain.build_plan import BuildPlan
from services.transform.flow import build_marts
from services.transform.settings import TransformSettings
from shared.contracts import SyncRequest
from shared.doctor.snowflake import examine_snowflake
from shared.errors import TerminalError
from shared.settings import WarehouseSettings
from shared.warehouse import Warehouse
from shared.warehouse.setup import main_of
from tests.conftest import REPOSITORY
from tests.ingest.conftest import MemoryJob
from tests.ingest.segment_landing import batch
from tests.source_states import MemoryStates
from tests.sql.wire import Wire
from tests.transform.builds import ListRecord, RecordingJob

MOCK: Final = {"accounts": 60, "visits": 1_500, "seed": 7, "dirt": 0.1}
SCORED: Final = 12
COMPANIES: Final = "hubspot_companies"


@dataclass
class _Record(ListRecord):
    """A build's memory that knows of no earlier build but that all is built."""

    loads: tuple[str, ...] = ()

    def coverage_of(self, load_id: str, plan: BuildPlan) -> Coverage:
        return Coverage(load_id, (load_id, *self.loads), None)


@dataclass
class Product:
    """The product's settings for one folder, one warehouse and one model server."""

    warehouse: Warehouse
    folder: Path
    model_url: str
    scoring: dict[str, Any] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    """Builds that should have succeeded: what they failed of. The flows go on with what is there."""

    def sync(self, job_id: str, options: Mapping[str, Any] = MOCK) -> dict[str, Any]:
        request = SyncRequest(source="mock", mode="full", options=dict(options)).model_dump(mode="json")
        settings = IngestSettings(GTM_DATA_DIR=self.folder / "var")
        return sync_source(MemoryJob(job_id, request), self.warehouse, settings, MemoryStates(job_id))

    def land(self, job_id: str, *batches: SourceBatch, ended: tuple[str, ...] = (), complete: bool = False) -> None:
        now = datetime.now(UTC).replace(tzinfo=None)
        load = Load(job_id, now, "hubspot", "incremental", is_complete=complete, is_baseline=True)
        with open_spool(self.folder / "spool") as spool:
            for one in batches:
                spool.add(one)
            for table in ended:
                spool.end_scan(table)
            missing = ("hubspot_deals",) if complete else ()
            land_segment(MemoryJob(job_id, {}), self.warehouse, load, spool, missing_tables=missing)

    def build(self, job_id: str, **request: Any) -> None:
        try:
            self.try_build(job_id, **request)
        except TerminalError as error:
            self.failures.append(f"{job_id}: {error.detail[:500]}")
            print(f"A build failed that should have succeeded: {self.failures[-1]}", flush=True)

    def try_build(self, job_id: str, *, project_dir: Path = REPOSITORY / "dbt_transform", **request: Any) -> None:
        settings = TransformSettings(
            GTM_DATA_DIR=self.folder / "var",
            GTM_DBT_PROJECT_DIR=project_dir,
            GTM_SCORING_WEIGHTS=REPOSITORY / "config" / "scoring_weights.yml",
            GTM_AS_OF_DATE=date(2026, 3, 1),
            GTM_DBT_THREADS=2,
        )
        build_marts(RecordingJob(job_id, request), self.warehouse, settings, _Record())

    def score(self, job_id: str, **request: Any) -> dict[str, Any]:
        return self._asked(score_accounts, job_id, request)

    def rescore(self, job_id: str, **request: Any) -> dict[str, Any]:
        return self._asked(rescore_account, job_id, request)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.warehouse.core() as connection:
            return [tuple(row) for row in connection.execute(sa.text(sql)).all()]

    def _asked(self, flow: Callable[..., dict[str, Any]], job_id: str, request: Mapping[str, Any]) -> dict[str, Any]:
        given: dict[str, Any] = {"OLLAMA_HOST": self.model_url, "GTM_MODEL_PATIENCE_SECONDS": 1, **self.scoring}
        settings = ScoringSettings(**given)
        return flow(MemoryJob(job_id, dict(request)), self.warehouse, open_model(settings), settings)


def run_pipelines(product: Product, wire: Wire) -> None:
    """A first pipeline; the same again, which changes nothing; changed records, their build and their rescore."""
    with wire.step("first sync"):
        product.sync("sync-1")
    with wire.step("first build"):
        product.build("build-1")
    with wire.step("first scoring"):
        product.score("scoring-1", limit=SCORED)
    with wire.step("sync of nothing new"):
        product.sync("sync-2")
    with wire.step("build of nothing new"):
        product.build("build-2")
    with wire.step("scoring of nothing new"):
        product.score("scoring-2", limit=SCORED)
    run_changes(product, wire)


def run_changes(product: Product, wire: Wire) -> None:
    """What change events set in motion: three records of a CRM, and an account that is named."""
    account, company = _a_lead(product), _a_company(product)
    with wire.step("sync of changed records"):
        product.land("sync-3", batch(COMPANIES, {**company, "name": "Falkor Freight", "updated_at": "2026-02-28"}))
    with wire.step("build of changed records"):
        product.build("build-3", load_id="sync-3")
    with wire.step("rescore of changed records"):
        product.rescore("rescore-1", load_id="sync-3")
    count_load_accounts(product.warehouse, "sync-3")
    with wire.step("webhook rescore, nothing changed"):
        product.rescore("rescore-2", account_id=account)
    with wire.step("webhook rescore, asked"):
        product.rescore("rescore-3", account_id=account, force=True)
    with wire.step("poll of leads"):
        read_leads(product.warehouse, limit=50)
    with wire.step("read of a lead"):
        read_lead(product.warehouse, account)


def run_rare_ways(product: Product, folder: Path) -> None:
    """What a pipeline does on few days: keyless and rejected rows, tombstones, an older release's tables, tiers by
    capacity, leads of former prospects, dry runs, a build that fails, one from scratch."""
    _land_the_unusual(product)
    _upgrade(product)
    product.score("scoring-3", limit=SCORED, dry_run=True, force=True)
    _lose_a_prospect(product)
    product.scoring = {"GTM_TIER_BY": "capacity", "GTM_TIER_A_ACCOUNTS": 1, "GTM_TIER_B_ACCOUNTS": 2}
    product.score("scoring-4", scope={"account_ids": [_a_lead(product), "hubspot:none"]}, force=True)
    product.score("scoring-4", limit=SCORED)  # a second attempt of the same job
    read_leads(
        product.warehouse, limit=3, tier="A", min_score=1, cursor=read_leads(product.warehouse, limit=1).next_cursor
    )
    _fail_a_build(product, folder)
    product.build("build-5", full_refresh=True)


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
    product.land("sync-5", batch("hubspot_email_campaigns", *rows, is_scan=True), ended=("hubspot_email_campaigns",))
    product.land("sync-6", batch("hubspot_email_campaigns", rows[0], is_scan=True), ended=("hubspot_email_campaigns",))
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
        connection.execute(sa.text("update raw.hubspot_owners set row_hash = 'older'"))
        connection.execute(sa.text("alter table reverse_etl_outbound.lead_scores drop column is_active"))
    product.land("sync-9", batch("hubspot_owners", {"id": "O1"}))
    read_leads(product.warehouse, limit=1)
    product.rescore("rescore-4", account_id=_a_lead(product), force=True)


def _lose_a_prospect(product: Product) -> None:
    with product.warehouse.core(write=True) as connection:
        gone = "update analytics.dim_accounts set is_active_prospect = not is_active_prospect where account_id = :one"
        connection.execute(sa.text(gone), {"one": _a_lead(product)})


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


def _a_lead(product: Product) -> str:
    return str(product.rows("select min(account_id) from reverse_etl_outbound.lead_scores")[0][0])


def _a_company(product: Product) -> dict[str, Any]:
    (row,) = product.rows(f"select id, domain from raw.{COMPANIES} where not is_deleted order by id limit 1")
    return dict(zip(("id", "domain"), row, strict=True))
