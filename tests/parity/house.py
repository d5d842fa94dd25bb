"""The product's own flows on one warehouse, with the moments of the loads told instead of read from the clock."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any
from unittest import mock

from services.ingest.adapters import attempts
from services.ingest.flow import sync_source
from services.ingest.settings import IngestSettings
from services.scoring.adapters.models import open_model
from services.scoring.flow import score_accounts
from services.scoring.settings import ScoringSettings
from services.transform.adapters.coverage import Coverage
from services.transform.domain.build_plan import BuildPlan
from services.transform.flow import build_marts
from services.transform.settings import TransformSettings
from shared.warehouse import Warehouse
from tests.conftest import REPOSITORY
from tests.parity.cases import EXPORTS, Case, Load
from tests.source_states import MemoryStates
from tests.transform.builds import ListRecord, RecordingJob

_moment: ContextVar[datetime] = ContextVar("moment")


@contextmanager
def told_moments() -> Iterator[None]:
    """Ingest asks `_moment`, each thread its own."""
    with mock.patch.object(attempts, "naive_now", _moment.get):
        yield


class _Record(ListRecord):
    """A build's memory; no build here is of one load."""

    def coverage_of(self, load_id: str, plan: BuildPlan) -> Coverage:
        return Coverage(load_id, (load_id,), f"{plan.root_id} builds everything")


@dataclass
class House:
    """One warehouse with a data folder; jobs have the same ids in every house."""

    warehouse: Warehouse
    folder: Path
    model_url: str
    project_dir: Path = REPOSITORY / "dbt_transform"
    threads: int = 2
    states: MemoryStates = field(default_factory=MemoryStates)

    def land(self, case: Case, number: int, load: Load) -> None:
        """Each request is a job."""
        _moment.set(load.moment)
        roots = f"{EXPORTS}{os.pathsep}{self.folder.parent}"
        settings = IngestSettings.model_validate(
            {"GTM_DATA_DIR": self.folder, "GTM_FILES_ROOTS": roots, "GTM_SOURCES_DIR": case.sources_dir}
        )
        for place, request in enumerate(load.syncs):
            job = RecordingJob(f"sync-{number}-{place}", request)
            sync_source(job, self.warehouse, settings, self.states)

    def build(self, case: Case, job_id: str, day: date, **request: Any) -> dict[str, Any]:
        """The job's result."""
        given: Mapping[str, Any] = {
            "GTM_DATA_DIR": self.folder,
            "GTM_DBT_PROJECT_DIR": self.project_dir,
            "GTM_SCORING_WEIGHTS": REPOSITORY / "config" / "scoring_weights.yml",
            "GTM_AS_OF_DATE": day,
            "GTM_DBT_THREADS": self.threads,
            **case.settings,
        }
        settings = TransformSettings.model_validate(given)
        return build_marts(RecordingJob(job_id, request), self.warehouse, settings, _Record())

    def score(self, job_id: str, **request: Any) -> dict[str, Any]:
        """The job's result."""
        settings = ScoringSettings.model_validate({"OLLAMA_HOST": self.model_url, "GTM_MODEL_PATIENCE_SECONDS": 1})
        return score_accounts(RecordingJob(job_id, request), self.warehouse, open_model(settings), settings)
