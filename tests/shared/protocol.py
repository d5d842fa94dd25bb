"""What the tests of the job protocol share."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from shared.errors import TransientError
from shared.jobs.leases import Claim, Leases
from shared.operations.database import OperationsDatabase
from shared.operations.models import Job

PIPELINE = {"sync": {"source": "mock"}}
BUSY = TransientError("try later", code="busy", title="Busy")


def claim(leases: Leases, job_id: str) -> Claim:
    claimed, _ = leases.claim(job_id)
    assert claimed is not None
    return claimed


def expire(operations: OperationsDatabase, job_id: str) -> None:
    """As if the lease's time had passed on a machine that is gone."""
    with operations.write() as session:
        past = datetime.now(UTC) - timedelta(seconds=1)
        session.execute(sa.update(Job).where(Job.id == job_id).values(lease_until=past, worker="elsewhere:1:1"))
