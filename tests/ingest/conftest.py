"""A real DuckDB warehouse per test, and an in-memory job and state store: both are protocols of the ingest service."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pytest
import sqlalchemy as sa

from services.ingest.adapters.attempts import to_load
from services.ingest.adapters.landing import land_segment
from services.ingest.adapters.raw_tables import create_raw_tables
from services.ingest.adapters.spool import open_spool
from services.ingest.domain.batches import build_batch
from services.ingest.domain.loads import LandedCounts
from services.ingest.domain.sources import Reject, SourceBatch
from services.ingest.flow import sync_source
from services.ingest.settings import IngestSettings
from shared.contracts import SyncRequest
from shared.settings import WarehouseSettings
from shared.warehouse import Warehouse, open_warehouse
from tests.source_states import MemoryStates

REPOSITORY = Path(__file__).parents[2]


class MemoryJob:
    """A job that only remembers what it was told; `stops_with` is raised at the check before the commit."""

    def __init__(self, job_id: str, request: Mapping[str, Any], stops_with: Exception | None = None) -> None:
        self.job_id = job_id
        self.request = request
        self.reported: list[tuple[str, int]] = []
        self._stops_with = stops_with

    def report(self, phase: str, done: int, total: int | None = None, unit: str = "rows") -> None:
        self.reported.append((phase, done))

    def check(self) -> None:
        if self._stops_with is not None:
            raise self._stops_with


@pytest.fixture(scope="session")
def empty_core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DuckDB file with all RAW tables, to be copied: making them costs more than most tests."""
    settings = WarehouseSettings(GTM_WAREHOUSE="duckdb", GTM_DATA_DIR=tmp_path_factory.mktemp("empty"))
    with open_warehouse(settings).core(write=True) as connection:
        create_raw_tables(connection)
    return settings.core_path


@pytest.fixture
def warehouse(tmp_path: Path, empty_core: Path) -> Warehouse:
    settings = WarehouseSettings(GTM_WAREHOUSE="duckdb", GTM_DATA_DIR=tmp_path / "var")
    settings.core_path.parent.mkdir(parents=True)
    shutil.copy(empty_core, settings.core_path)
    return open_warehouse(settings)


@pytest.fixture
def states() -> MemoryStates:
    return MemoryStates()


@pytest.fixture
def files_root(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def settings(tmp_path: Path, files_root: Path) -> IngestSettings:
    return IngestSettings(
        GTM_DATA_DIR=tmp_path / "var",
        GTM_FILES_ROOTS=str(files_root),
        GTM_SOURCES_DIR=REPOSITORY / "config" / "sources",
    )


Sync: TypeAlias = Callable[..., dict[str, Any]]
Land: TypeAlias = Callable[..., LandedCounts]
Query: TypeAlias = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture
def sync(warehouse: Warehouse, settings: IngestSettings, states: MemoryStates) -> Sync:
    def run(
        source: str,
        options: dict[str, Any],
        *,
        job_id: str = "job-1",
        request: dict[str, Any] | None = None,
        **changed: Any,
    ) -> dict[str, Any]:
        states.job_id = job_id
        job = MemoryJob(job_id, {"source": source, "options": options, **(request or {})})
        return sync_source(job, warehouse, settings.model_copy(update=changed), states)

    return run


@pytest.fixture
def land(warehouse: Warehouse, tmp_path: Path) -> Land:
    """Land rows given as RAW columns plus `updated_at`, `is_deleted` and `extra`; `id` is the key."""

    def run(
        table: str,
        rows: Sequence[Mapping[str, Any]],
        *,
        job_id: str = "job-1",
        rejects: Sequence[Reject] = (),
        stops_with: Exception | None = None,
        accept_volume: bool = False,
    ) -> LandedCounts:
        names = {name for row in rows for name in row} | {"id", "updated_at", "extra"}
        columns = {name: pa.array([row.get(name) for row in rows], pa.string()) for name in names - {"is_deleted"}}
        batch = build_batch(
            table,
            columns,
            key=[columns["id"]],
            updated_at=columns["updated_at"],
            is_deleted=pa.array([bool(row.get("is_deleted")) for row in rows], pa.bool_()),
            extra=columns["extra"],
        )
        with open_spool(tmp_path / "spool") as spool:
            spool.add(SourceBatch(table, batch, tuple(rejects)))
            request = SyncRequest(source="files", accept_volume=accept_volume)
            job = MemoryJob(job_id, request.model_dump(), stops_with)
            return land_segment(job, warehouse, to_load(job, request, is_complete=True), spool)[table]

    return run


@pytest.fixture
def query(warehouse: Warehouse) -> Query:
    def run(sql: str) -> list[tuple[Any, ...]]:
        with warehouse.core() as connection:
            return [tuple(row) for row in connection.execute(sa.text(sql)).all()]

    return run


@pytest.fixture
def sources_dir(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with one mapping, `test`: the test module's MAPPING."""
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "test.yml").write_text(request.module.MAPPING)
    return folder
