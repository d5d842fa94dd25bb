"""The sweeper publishes what the job table owes, and nothing else."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import redis
import sqlalchemy as sa
from redis.backoff import NoBackoff
from redis.retry import Retry

from shared.celery_app import make_celery
from shared.contracts import JobKind, JobState
from shared.jobs.creation import add_job
from shared.jobs.dispatch import lists_of
from shared.jobs.leases import Leases
from shared.jobs.liveness import read_sweep_age
from shared.jobs.store import JobStore
from shared.jobs.sweeper import Sweeper
from shared.operations.database import OperationsDatabase, operations_database
from shared.operations.models import Job
from shared.settings import OperationsSettings, QueueSettings
from tests.conftest import RedisServer
from tests.shared.protocol import claim, expire


def test_the_sweeper_publishes_what_has_no_message(
    store: JobStore, leases: Leases, operations: OperationsDatabase
) -> None:
    lost = store.start(JobKind.BUILD, {}).job
    store.start(JobKind.BUILD, {})
    assert leases.sweep()[0] == [], "both were published a moment ago"
    with operations.write() as session:
        session.get_one(Job, lost.id).dispatched_at = datetime.now(UTC) - timedelta(seconds=11)
    for _ in range(2):
        debts = leases.sweep()
        assert ([ticket.job_id for ticket in debts.tickets], debts.waiting) == ([lost.id], {"transform": 2})
    leases.note_published(debts.tickets, debts.at)
    assert leases.sweep().tickets == [], "once is enough for now"


def test_the_sweeper_sees_a_running_job_without_a_lease(
    store: JobStore, leases: Leases, operations: OperationsDatabase
) -> None:
    job = store.start(JobKind.BUILD, {}).job
    claim(leases, job.id)
    assert leases.sweep()[:2] == ([], {})
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
    debts = leases.sweep()
    assert lost.id in {ticket.job_id for ticket in debts.tickets}
    assert debts.waiting == {"scoring.interactive": 600, "transform": 1}


@pytest.fixture
def sweeper(operations: OperationsDatabase, redis_server: RedisServer) -> Iterator[Sweeper]:
    """On the tests' database and Redis."""
    url = operations.engine.url.render_as_string(hide_password=False)
    settings = OperationsSettings(GTM_OPERATIONS_URL=url)
    queue = QueueSettings(REDIS_URL=redis_server.url)
    yield Sweeper(make_celery("sweeper", settings=queue, is_producer=True), settings, queue)
    operations_database(settings).dispose()


def set_dispatched(operations: OperationsDatabase, at: datetime) -> None:
    with operations.write() as session:
        session.execute(sa.update(Job).values(dispatched_at=at))


def read_dispatched(operations: OperationsDatabase) -> datetime | None:
    with operations.read() as session:
        return session.scalars(sa.select(Job.dispatched_at)).one()


def test_what_was_not_published_is_not_said_to_have_been(
    store: JobStore, operations: OperationsDatabase, sweeper: Sweeper, redis_server: RedisServer
) -> None:
    store.start(JobKind.BUILD, {})
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    set_dispatched(operations, long_ago)
    (first, normal) = lists_of("transform")
    redis_server.client.lpush(normal, "of a job that has ended")
    assert (sweeper.sweep(), read_dispatched(operations)) == (0, long_ago)
    redis_server.client.delete(first, normal)
    assert sweeper.sweep() == 1 == redis_server.client.llen(normal)
    marked = read_dispatched(operations)
    assert marked is not None and marked > long_ago
    assert sweeper.sweep() == 0


def test_the_job_table_is_looked_at_while_redis_is_away(
    store: JobStore, operations: OperationsDatabase, sweeper: Sweeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = store.start(JobKind.BUILD, {}).job
    claim(Leases(operations, OperationsSettings()), job.id)
    store.cancel(job.id)
    expire(operations, job.id)
    monkeypatch.setattr(sweeper, "_redis", redis.Redis(port=1, retry=Retry(NoBackoff(), 0)))
    with pytest.raises(redis.RedisError):
        sweeper.sweep()
    with operations.read() as session:
        assert read_sweep_age(session, operations.now(session)) is not None
    assert store.get(job.id).state == JobState.CANCELLED
