"""What a running build writes into the operations database: how each node goes, and what a retry must find unchanged.

Written in batches while dbt runs, at most twice a second, and only while the worker holds the job.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Protocol

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.transform.adapters.remainders import has_landed_since, read_remainder
from services.transform.domain.build_plan import BuildPlan, Remainder
from services.transform.domain.run_results import NodeResult
from shared.jobs.fenced import fenced_write
from shared.logging import get_logger
from shared.operations.database import OperationsDatabase
from shared.operations.models import BuildNode, BuildRun

log = get_logger(__name__)

_PAUSE_SECONDS: Final = 0.5


class BuildRecord(Protocol):
    """A build's memory. Every method that writes raises LeaseLost when the job is another worker's by now."""

    def remainder_of(self, build_id: str) -> Remainder:
        """What an earlier build left undone; raises as `read_remainder`."""
        ...

    def has_landed_since(self, moment: datetime) -> bool:
        """Whether RAW may have changed since."""
        ...

    def begin(self, plan: BuildPlan) -> None:
        """Before dbt starts; forgets what an earlier attempt wrote."""
        ...

    def note(self, node: NodeResult) -> None:
        """A node starts or has ended. Cheap: written with the next batch."""
        ...

    def flush(self) -> None:
        """Write what was noted, if the last batch is long enough ago."""
        ...

    def complete(self, results: Sequence[NodeResult]) -> None:
        """What run_results.json says of every node, over what the log said."""
        ...


class OperationsRecord:
    """`BuildRecord` of one attempt, over `build_runs` and `build_nodes`."""

    def __init__(self, database: OperationsDatabase, job_id: str, fence: int) -> None:
        self._database = database
        self._job_id = job_id
        self._fence = fence
        self._waiting: dict[str, NodeResult] = {}
        self._written: dict[str, tuple[NodeResult, int]] = {}  # and the revision in which a follower saw it
        self._positions: dict[str, int] = {}
        self._revision = 0
        self._written_at = float("-inf")

    def remainder_of(self, build_id: str) -> Remainder:
        return read_remainder(self._database, build_id)

    def has_landed_since(self, moment: datetime) -> bool:
        return has_landed_since(self._database, moment)

    def begin(self, plan: BuildPlan) -> None:
        with fenced_write(self._database, self._job_id, self._fence) as session:
            session.execute(sa.delete(BuildNode).where(BuildNode.job_id == self._job_id))
            now = self._database.now(session)
            session.merge(BuildRun(job_id=self._job_id, fence=self._fence, started_at=now, **vars(plan)))

    def note(self, node: NodeResult) -> None:
        self._positions.setdefault(node.unique_id, len(self._positions))
        self._waiting[node.unique_id] = node

    def flush(self) -> None:
        if not self._waiting or time.monotonic() - self._written_at < _PAUSE_SECONDS:
            return
        try:
            self._write()
        except sa.exc.DBAPIError as error:  # dbt goes on, and the end writes every node again
            log.warning("nodes_not_written", reason=str(getattr(error, "orig", error)))
        self._written_at = time.monotonic()

    def complete(self, results: Sequence[NodeResult]) -> None:
        for result in results:
            self.note(result)
        self._write()

    def _write(self) -> None:
        saved: dict[str, tuple[NodeResult, int]] = {}
        with fenced_write(self._database, self._job_id, self._fence) as session:
            for unique_id, node in self._waiting.items():
                saved[unique_id] = self._save(session, node)
        self._written |= saved
        self._waiting.clear()

    def _save(self, session: Session, node: NodeResult) -> tuple[NodeResult, int]:
        known, revision = self._written.get(node.unique_id, (None, 0))
        if known is not None:
            node = replace(node, started_at=node.started_at or known.started_at)
        if known is None or (known.status, known.line) != (node.status, node.line):
            self._revision = revision = self._revision + 1  # no news for a follower otherwise
        values = self._values(node, revision)
        is_it = (BuildNode.job_id == self._job_id, BuildNode.unique_id == node.unique_id)
        if known is None or not _rows(session, sa.update(BuildNode).where(*is_it).values(**values)):
            session.execute(sa.insert(BuildNode).values(job_id=self._job_id, unique_id=node.unique_id, **values))
        return node, revision

    def _values(self, node: NodeResult, revision: int) -> dict[str, Any]:
        return {
            "position": self._positions[node.unique_id],
            "fence": self._fence,
            "revision": revision,
            "node": node.node,
            "kind": node.kind,
            "status": node.status,
            "seconds": None if node.seconds is None else round(node.seconds, 3),
            "rows_affected": node.rows_affected,
            "failures": node.failures,
            "message": node.line,
            "rows_in": node.rows_in,
            "started_at": node.started_at,
            "ended_at": node.ended_at,
        }


def _rows(session: Session, statement: sa.Update) -> int:
    result: sa.CursorResult[Any] = session.execute(statement)  # type: ignore[assignment]  # an update gives this one
    return result.rowcount
