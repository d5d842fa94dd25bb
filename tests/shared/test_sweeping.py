"""The sweeper publishes what the job table owes, and nothing else."""

from datetime import UTC, datetime, timedelta

from shared.contracts import JobKind
from shared.jobs.creation import add_job
from shared.jobs.leases import Leases
from shared.jobs.store import JobStore
from shared.operations.database import OperationsDatabase
from shared.operations.models import Job
from tests.shared.protocol import claim, expire


def test_the_sweeper_publishes_what_has_no_message(
    store: JobStore, leases: Leases, operations: OperationsDatabase
) -> None:
    lost = store.start(JobKind.BUILD, {}).job
    store.start(JobKind.BUILD, {})
    assert leases.sweep()[0] == [], "both were published a moment ago"
    with operations.write() as session:
        session.get_one(Job, lost.id).dispatched_at = datetime.now(UTC) - timedelta(seconds=11)
    tickets, waiting = leases.sweep()
    assert ([ticket.job_id for ticket in tickets], waiting) == ([lost.id], {"transform": 2})
    assert leases.sweep()[0] == [], "once is enough for now"


def test_the_sweeper_sees_a_running_job_without_a_lease(
    store: JobStore, leases: Leases, operations: OperationsDatabase
) -> None:
    job = store.start(JobKind.BUILD, {}).job
    claim(leases, job.id)
    assert leases.sweep() == ([], {})
    with operations.write() as session:
        session.get_one(Job, job.id).lease_until = None  # NULL compares with nothing: it must not hide the row
    assert [ticket.job_id for ticket in leases.sweep()[0]] == [job.id]


def test_a_backlog_hides_no_lost_job_of_another_queue(
    store: JobStore, leases: Leases, operations: OperationsDatabase
) -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    with operations.write() as session:
        for number in range(600):
            add_job(session, JobKind.RESCORE, {}, long_ago, subject=f"account-{number}")
    lost = store.start(JobKind.BUILD, {}).job
    claim(leases, lost.id)
    expire(operations, lost.id)
    tickets, waiting = leases.sweep()
    assert lost.id in {ticket.job_id for ticket in tickets}
    assert waiting == {"scoring.interactive": 600, "transform": 1}
