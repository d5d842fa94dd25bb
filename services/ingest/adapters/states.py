"""What a source remembers between syncs, in the operations database."""

from typing import Any

from shared.operations.database import OperationsDatabase
from shared.operations.models import SourceState


class OperationsSourceStates:
    """See `services.ingest.domain`'s SourceStates: one JSON object a source; `put` replaces it."""

    def __init__(self, database: OperationsDatabase) -> None:
        self._database = database

    def get(self, source: str) -> dict[str, Any] | None:
        with self._database.read() as session:
            row = session.get(SourceState, source)
            return None if row is None else row.state

    def put(self, source: str, state: dict[str, Any]) -> None:
        with self._database.write() as session:
            session.merge(SourceState(source=source, state=state, updated_at=self._database.now(session)))
