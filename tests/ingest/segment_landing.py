"""Landing segments of a load by hand: what the flow does with a source's events."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from services.ingest.adapters.landing import land_segment
from services.ingest.adapters.spool import open_spool
from services.ingest.domain.batches import build_batch
from services.ingest.domain.loads import LandedCounts, Load
from services.ingest.domain.sources import Replacement, SourceBatch
from shared.warehouse import Warehouse
from tests.ingest.conftest import MemoryJob


class Landing:
    """Each call is a later moment."""

    def __init__(self, warehouse: Warehouse, folder: Path) -> None:
        self.warehouse = warehouse
        self._folder = folder
        self._now = datetime(2026, 3, 1)

    def land(
        self,
        *batches: SourceBatch,
        job: str = "job-1",
        segment: str = "all",
        ended: Sequence[str] = (),
        accept_volume: bool = False,
        stops_with: Exception | None = None,
    ) -> dict[str, LandedCounts]:
        self._now += timedelta(hours=1)
        load = Load(job, self._now, "hubspot", "full", is_complete=False, is_baseline=accept_volume)
        with open_spool(self._folder) as spool:
            for batch in batches:
                spool.add(batch)
            for table in ended:
                spool.end_scan(table)
            return land_segment(MemoryJob(job, {}, stops_with), self.warehouse, load, spool, segment=segment)


def batch(
    table: str,
    *rows: Mapping[str, Any],
    key: Sequence[str] = ("id",),
    is_scan: bool = False,
    replaces: tuple[str, Sequence[str]] | None = None,
) -> SourceBatch:
    """Rows as RAW columns, plus `updated_at` (the source's change time) and `is_deleted`."""
    names = {name for row in rows for name in row} | set(key) | {"updated_at"}
    columns = {name: pa.array([row.get(name) for row in rows], pa.string()) for name in names - {"is_deleted"}}
    built = build_batch(
        table,
        columns,
        key=[columns[name] for name in key],
        updated_at=columns["updated_at"],
        is_deleted=pa.array([bool(row.get("is_deleted")) for row in rows], pa.bool_()),
    )
    replacement = Replacement(replaces[0], tuple(replaces[1])) if replaces else None
    return SourceBatch(table, built, is_scan=is_scan, replaces=replacement)
