"""A memory of sources for tests and benchmarks without an operations database."""

from collections.abc import Collection, Mapping
from typing import Any

from services.ingest.domain.sources import Checkpoint


class MemoryStates:
    """See `services.ingest.domain.sources.SourceStates`; `job_id` is whose cursors are stored."""

    def __init__(self, job_id: str = "job-1") -> None:
        self.job_id = job_id
        self.states: dict[str, dict[str, Any]] = {}
        self.cursors: dict[str, dict[str, tuple[str, Checkpoint]]] = {}
        self.landed_by: dict[str, dict[str, str]] = {}
        self.fields: dict[str, dict[str, dict[str, str | None]]] = {}

    def get(self, source: str) -> dict[str, Any] | None:
        return self.states.get(source)

    def put(self, source: str, state: dict[str, Any]) -> None:
        self.states[source] = state

    def read_cursors(self, source: str, *, of_job: str | None = None) -> dict[str, dict[str, Any]]:
        stored = self.cursors.get(source, {})
        return {stream: one.cursor for stream, (job_id, one) in stored.items() if of_job in (None, job_id)}

    def read_landed_by(self, source: str) -> dict[str, str]:
        return dict(self.landed_by.get(source, {}))

    def drop_cursors(self, source: str, streams: Collection[str]) -> None:
        for stream in streams:
            self.cursors.get(source, {}).pop(stream, None)
            self.landed_by.get(source, {}).pop(stream, None)

    def put_cursors(self, source: str, checkpoints: Mapping[str, Checkpoint], *, has_landed: bool) -> None:
        if has_landed:
            self.landed_by.setdefault(source, {}).update(dict.fromkeys(checkpoints, self.job_id))
        stored = self.cursors.setdefault(source, {})
        stored.update({stream: (self.job_id, one) for stream, one in checkpoints.items()})

    def read_fields(self, source: str) -> dict[str, dict[str, str | None]]:
        return {table: dict(fields) for table, fields in self.fields.get(source, {}).items()}

    def put_fields(self, source: str, fields: Mapping[str, Mapping[str, str | None]]) -> None:
        known = self.fields.setdefault(source, {})
        known.update({table: dict(of_table) for table, of_table in fields.items()})
