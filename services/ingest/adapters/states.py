"""What a source remembers between syncs, in the operations database."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.ingest.domain.sources import Checkpoint
from shared.jobs.fenced import fenced_write
from shared.jobs.transitions import note_progress
from shared.operations.database import OperationsDatabase
from shared.operations.models import SourceCursor, SourceField, SourceState
from shared.operations.outages import outage_as_transient


class OperationsSourceStates:
    """See `services.ingest.domain.sources.SourceStates`: written only while this worker holds the job.

    Raises TransientError `operations-unavailable` while that database is away.
    """

    def __init__(self, database: OperationsDatabase, job_id: str, fence: int) -> None:
        self._database = database
        self._job_id = job_id
        self._fence = fence

    def get(self, source: str) -> dict[str, Any] | None:
        with outage_as_transient(), self._database.read() as session:
            row = session.get(SourceState, source)
            return None if row is None else row.state

    def put(self, source: str, state: dict[str, Any]) -> None:
        with self._write() as session:
            session.merge(SourceState(source=source, state=state, updated_at=self._database.now(session)))

    def read_cursors(self, source: str, *, of_job: str | None = None) -> dict[str, dict[str, Any]]:
        query = _of_source(source)
        if of_job is not None:
            query = query.where(SourceCursor.job_id == of_job)
        with outage_as_transient(), self._database.read() as session:
            return {row.stream: row.cursor for row in session.scalars(query)}

    def read_landed_by(self, source: str) -> dict[str, str]:
        with outage_as_transient(), self._database.read() as session:
            rows = session.scalars(_of_source(source))
            return {row.stream: row.load_id for row in rows if row.load_id is not None}

    def drop_cursors(self, source: str, streams: Collection[str]) -> None:
        of_streams = (SourceCursor.source == source) & SourceCursor.stream.in_(streams)
        with self._write() as session:
            session.execute(sa.delete(SourceCursor).where(of_streams))

    def put_cursors(self, source: str, checkpoints: Mapping[str, Checkpoint], *, has_landed: bool) -> None:
        with self._write() as session:
            now = self._database.now(session)
            stored = {row.stream: row for row in session.scalars(_of_source(source))}
            if any(stream not in stored or stored[stream].cursor != one.cursor for stream, one in checkpoints.items()):
                note_progress(session, self._job_id)
            for stream, one in checkpoints.items():
                cursor = SourceCursor(source=source, stream=stream, cursor=one.cursor, is_final=one.is_final)
                cursor.job_id, cursor.updated_at = self._job_id, now
                before = stored[stream].load_id if stream in stored else None
                cursor.load_id = self._job_id if has_landed else before
                session.merge(cursor)

    def read_fields(self, source: str) -> dict[str, dict[str, str | None]]:
        fields: dict[str, dict[str, str | None]] = {}
        with outage_as_transient(), self._database.read() as session:
            for row in session.scalars(sa.select(SourceField).where(SourceField.source == source)):
                fields.setdefault(row.source_table, {})[row.field] = row.field_type
        return fields

    def put_fields(self, source: str, fields: Mapping[str, Mapping[str, str | None]]) -> None:
        with self._write() as session:
            now = self._database.now(session)
            of_tables = SourceField.source_table.in_(fields)
            session.execute(sa.delete(SourceField).where(SourceField.source == source, of_tables))
            for table, types in fields.items():
                for name, kind in types.items():
                    row = SourceField(source=source, source_table=table, field=name, field_type=kind, seen_at=now)
                    session.add(row)

    @contextmanager
    def _write(self) -> Iterator[Session]:
        with fenced_write(self._database, self._job_id, self._fence) as session:
            yield session


def _of_source(source: str) -> sa.Select[tuple[SourceCursor]]:
    return sa.select(SourceCursor).where(SourceCursor.source == source)
