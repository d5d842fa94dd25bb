"""A source that yields what a test wants, through the flow and into a real warehouse."""

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from services.ingest.adapters import sources
from services.ingest.domain.batches import build_batch
from services.ingest.domain.sources import SourceBatch, SourceEvent, SyncRun
from services.ingest.flow import sync_source
from services.ingest.settings import IngestSettings
from shared.warehouse import Warehouse
from tests.ingest.conftest import MemoryJob
from tests.source_states import MemoryStates

TABLE = "hubspot_contacts"

Script = Callable[[SyncRun], Iterator[SourceEvent]]


def batch(*ids: int, table: str = TABLE, **more: Any) -> SourceBatch:
    keys = pa.array([str(id_) for id_ in ids], pa.string())
    return SourceBatch(table, build_batch(table, {"id": keys}, key=[keys], updated_at=None, is_deleted=None), **more)


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Scripted:
    name = "scripted"
    state = None
    is_complete = False
    missing_tables = ()
    unmapped_files = ()

    def __init__(self, script: Script, run: SyncRun) -> None:
        self._script, self._run = script, run

    def read(self, batch_rows: int) -> Iterator[SourceEvent]:
        return self._script(self._run)


class Runs:
    """Syncs of the scripted source; one row fills a segment."""

    def __init__(self, warehouse: Warehouse, settings: IngestSettings, states: MemoryStates) -> None:
        self._warehouse, self.states = warehouse, states
        self._settings = settings.model_copy(update={"segment_rows": 1})
        self.seen: list[SyncRun] = []

    def __call__(self, script: Script, *, job: MemoryJob | None = None, **request: Any) -> dict[str, Any]:
        def open_scripted(options: _Options, settings: IngestSettings, run: SyncRun) -> Any:
            self.seen.append(run)
            return _Scripted(script, run)

        job = job or MemoryJob("job-1", {})
        job.request = {"source": "scripted", **request}
        self.states.job_id = job.job_id
        sources._SOURCES["scripted"] = sources._SourceType(_Options, lambda options, settings: None, open_scripted)
        try:
            return sync_source(job, self._warehouse, self._settings, self.states)
        finally:
            del sources._SOURCES["scripted"]

    @property
    def cursor(self) -> dict[str, Any]:
        return self.states.read_cursors("scripted").get("numbers", {})
