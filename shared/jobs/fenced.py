"""Rows that a running job keeps beside its own in the operations database, written only while it holds the job."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from shared.contracts import JobState
from shared.jobs.context import LeaseLost
from shared.jobs.transitions import lock_job
from shared.operations.database import OperationsDatabase
from shared.operations.outages import outage_as_transient


@contextmanager
def fenced_write(database: OperationsDatabase, job_id: str, fence: int) -> Iterator[Session]:
    """One write transaction. The job's row is locked meanwhile, so no other worker can claim it before the commit.

    Raises:
        LeaseLost: the job is another worker's by now, or has ended; nothing is written.
        TransientError: `operations-unavailable`.
    """
    with outage_as_transient(), database.write() as session:
        job = lock_job(session, job_id)
        if job is None or job.fence != fence or job.state != JobState.RUNNING:
            raise LeaseLost(job_id)
        yield session
