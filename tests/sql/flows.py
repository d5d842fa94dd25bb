"""The product's flows on one warehouse, one after the other, so that each statement it has is sent at least once.

Small data, the real code: mock CRM data with dirt, whole builds and those of changed records, scorings, rescores, what
the APIs read. What happens on few days is in `rare_flows.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from services.ingest.adapters.landing import land_segment
from services.ingest.adapters.spool import open_spool
from services.ingest.domain.loads import Load
from services.ingest.domain.sources import SourceBatch
from services.ingest.flow import sync_source
from services.ingest.settings import IngestSettings
from services.scoring.adapters.marts import count_load_accounts
from services.scoring.adapters.models import open_model
from services.scoring.adapters.outbound import read_lead, read_leads
from services.scoring.flow import rescore_account, score_accounts
from services.scoring.settings import ScoringSettings
from services.transform.adapters.coverage import Coverage
from services.transform.domain.build_plan import BuildPlan
from services.transform.flow import build_marts
from services.transform.settings import TransformSettings
from shared.contracts import SyncRequest
from shared.errors import TerminalError
from shared.warehouse import Warehouse
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
    building: dict[str, Any] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    """Builds that should have succeeded: what they failed of. The flows go on with what is there."""

    def sync(self, job_id: str, options: Mapping[str, Any] = MOCK) -> dict[str, Any]:
        request = SyncRequest(source="mock", mode="full", options=dict(options)).model_dump(mode="json")
        settings = IngestSettings(GTM_DATA_DIR=self.folder / "var")
        return sync_source(MemoryJob(job_id, request), self.warehouse, settings, MemoryStates(job_id))

    def land(
        self,
        job_id: str,
        *batches: SourceBatch,
        ended: tuple[str, ...] = (),
        complete: bool = False,
        accept_volume: bool = False,
    ) -> None:
        now = datetime.now(UTC).replace(tzinfo=None)
        load = Load(job_id, now, "hubspot", "records", is_complete=complete, is_baseline=accept_volume)
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
        given: dict[str, Any] = {
            "GTM_DATA_DIR": self.folder / "var",
            "GTM_DBT_PROJECT_DIR": project_dir,
            "GTM_SCORING_WEIGHTS": REPOSITORY / "config" / "scoring_weights.yml",
            "GTM_AS_OF_DATE": date(2026, 3, 1),
            "GTM_DBT_THREADS": 2,
        }
        settings = TransformSettings(**given, **self.building)
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
    account, company = a_lead(product), _a_company(product)
    with wire.step("sync of changed records"):
        product.land("sync-3", batch(COMPANIES, {**company, "name": "Falkor Freight", "updated_at": "2030-01-01"}))
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


def a_lead(product: Product) -> str:
    """Some account that has a lead: the same each time."""
    return str(product.rows("select min(account_id) from reverse_etl_outbound.lead_scores")[0][0])


def _a_company(product: Product) -> dict[str, Any]:
    (row,) = product.rows(f"select id, domain from raw.{COMPANIES} where not is_deleted order by id limit 1")
    return dict(zip(("id", "domain"), row, strict=True))
