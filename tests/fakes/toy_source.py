"""A source over `ToyCrm`, as small as one can be: what a new one has to do, and no more.

`register()` makes it known to the process; `celery -A tests.fakes.toy_source` is a worker that knows it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from services.ingest.adapters import sources
from services.ingest.adapters.crm_http import CrmClient, Patience
from services.ingest.adapters.rate_budget import open_rate_budget
from services.ingest.domain.batches import build_batch, to_json_objects
from services.ingest.domain.sources import Checkpoint, ScanEnd, SourceBatch, SourceEvent, SyncRun
from services.ingest.settings import IngestSettings
from services.ingest.worker import app
from shared.settings import queue_settings

TABLE = "hubspot_contacts"
STREAM = "records"

__all__ = ["app"]


class ToyOptions(BaseModel):
    """Where the CRM is, and how it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str
    page_rows: int = 100
    requests_per_second: int = 1000
    is_scan: bool = False
    asks_fields: bool = False


class ToySource:
    """See `services.ingest.domain.sources.Source`."""

    name = "toy"
    state: dict[str, Any] | None = None
    is_complete = False
    missing_tables: tuple[str, ...] = ()
    unmapped_files: tuple[str, ...] = ()

    def __init__(self, options: ToyOptions, run: SyncRun) -> None:
        self._options = options
        self._run = run
        redis_url = queue_settings().redis_url.get_secret_value()
        self._client = CrmClient(
            options.url,
            authenticate=lambda: {"Authorization": "Bearer toy-token"},
            budgets={"toy": open_rate_budget(redis_url, "toy", options.requests_per_second, 1)},
            source="toy",
            run=run,
            patience=Patience(tries=3, first_pause=0.01),
        )

    def read(self, batch_rows: int) -> Iterator[SourceEvent]:
        """Page by page, with a checkpoint after each; the last one is final."""
        fields = self._client.get("/fields", budget="toy") if self._options.asks_fields else {}
        after = self._run.cursors.get(STREAM, {}).get("after", 0)
        while after is not None:
            params = {"after": after, "limit": self._options.page_rows}
            page = self._client.get("/records", params=params, budget="toy")
            yield SourceBatch(TABLE, _to_rows(page["results"]), fields=fields, is_scan=self._options.is_scan)
            reached = after + len(page["results"])
            after = page["next"]
            if after is None and self._options.is_scan:
                yield ScanEnd(TABLE)
            yield Checkpoint(STREAM, {"after": reached}, is_final=after is None)


def _to_rows(records: list[Mapping[str, str]]) -> pa.Table:
    names = {name for record in records for name in record} | {"id", "email"}
    columns = {name: pa.array([record.get(name) for record in records], pa.string()) for name in names}
    others = {name: column for name, column in columns.items() if name not in ("id", "email")}
    landed = {name: columns[name] for name in ("id", "email")}
    extra = to_json_objects(others) if others else None
    return build_batch(TABLE, landed, key=[columns["id"]], updated_at=None, is_deleted=None, extra=extra)


def register() -> None:
    """A repeat is a no-op."""
    sources._SOURCES["toy"] = sources._SourceType(
        ToyOptions, lambda options, settings: None, _open_toy, keeps_place=True
    )


def _open_toy(options: ToyOptions, settings: IngestSettings, run: SyncRun) -> ToySource:
    return ToySource(options, run)


register()
