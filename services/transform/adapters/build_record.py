"""What a running build writes into the operations database: how each node goes, and what a retry must find unchanged.

Written in batches while dbt runs, at most twice a second, and only while the worker holds the job.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.transform.adapters.coverage import Coverage, read_coverage
from services.transform.adapters.remainders import is_disturbed, read_remainder
from services.transform.domain.build_plan import BuildPlan, Remainder
from services.transform.domain.run_results import NodeResult
from shared.errors import TransientError
from shared.jobs.fenced import fenced_write
from shared.logging import get_logger
from shared.operations.database import OperationsDatabase
from shared.operations.models import BuildNode, BuildRun
from shared.operations.outages import OUTAGES

log = get_logger(__name__)

_PAUSE_SECONDS: Final = 0.5
_AWAY: Final = (*OUTAGES, TransientError)

T = TypeVar("T")


class BuildRecord(Protocol):
    """A build's memory. Every method that writes raises LeaseLost when the job is another worker's by now, and all but
    `note` and `flush` raise TransientError (`operations-unavailable`) when the database stays away."""

    def remainder_of(self, build_id: str) -> Remainder:
        """What an earlier build left undone; raises as `read_remainder`."""
        ...

    def is_disturbed(self, remainder: Remainder) -> bool:
        """Whether RAW, or marts built from something else, may have come in between since the root began."""
        ...

    def coverage_of(self, load_id: str, plan: BuildPlan) -> Coverage:
        """What the marts may lack beside this load, and whether everything must be built for it."""
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
        """What run_results.json says of every node, over what the log said. Again for those of which more is known."""
        ...


class OperationsRecord:
    """`BuildRecord` of one attempt, over `build_runs` and `build_nodes`.

    `patience_seconds`: how long a database that is away is waited for, at best as long as the job's lease.
    """

    def __init__(self, database: OperationsDatabase, job_id: str, fence: int, *, patience_seconds: float = 20) -> None:
        self._database = database
        self._job_id = job_id
        self._fence = fence
        self._patience_seconds = patience_seconds
        self._waiting: dict[str, NodeResult] = {}
        self._written: dict[str, tuple[NodeResult, int]] = {}  # and the revision in which a follower saw it
        self._positions: dict[str, int] = {}
        self._revision = 0
        self._written_at = float("-inf")

    def remainder_of(self, build_id: str) -> Remainder:
        return self._patiently(lambda: read_remainder(self._database, build_id))

    def is_disturbed(self, remainder: Remainder) -> bool:
        return self._patiently(lambda: is_disturbed(self._database, remainder, self._job_id))

    def coverage_of(self, load_id: str, plan: BuildPlan) -> Coverage:
        return self._patiently(lambda: read_coverage(self._database, plan, load_id))

    def begin(self, plan: BuildPlan) -> None:
        self._patiently(lambda: self._begin(plan))

    def _begin(self, plan: BuildPlan) -> None:
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
        except _AWAY as error:  # dbt goes on, and the end writes every node again
            log.warning("nodes_not_written", reason=str(getattr(error, "orig", error)))
        self._written_at = time.monotonic()

    def complete(self, results: Sequence[NodeResult]) -> None:
        for result in results:
            self.note(result)
        self._patiently(self._write)

    def _patiently(self, work: Callable[[], T]) -> T:
        """A repeat of `work` must be harmless: its commit may have come through although the answer was lost."""
        deadline = time.monotonic() + self._patience_seconds
        while True:
            try:
                return work()
            except _AWAY as error:
                reason = str(getattr(error, "orig", error))
                log.warning("operations_database_away", reason=reason)
                if time.monotonic() > deadline:
                    raise TransientError(
                        "The operations database does not answer, so what this build did can't be recorded. The build "
                        "is tried again; if it stays, check GTM_OPERATIONS_URL.",
                        code="operations-unavailable",
                        title="The operations database is unavailable",
                    ) from error
                time.sleep(_PAUSE_SECONDS)

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
        # Also one that was never written: its insert may have been committed although the answer was lost.
        if not _rows(session, sa.update(BuildNode).where(*is_it).values(**values)):
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
            "tested": list(node.tested) or None,
            "started_at": node.started_at,
            "ended_at": node.ended_at,
        }


def _rows(session: Session, statement: sa.Update) -> int:
    result: sa.CursorResult[Any] = session.execute(statement)  # type: ignore[assignment]  # an update gives this one
    return result.rowcount
