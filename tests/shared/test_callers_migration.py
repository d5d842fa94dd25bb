"""Idempotency keys become each caller's own while the release before is at work beside it."""

import threading
import uuid
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from alembic import command

from shared.contracts import JobKind
from shared.jobs.store import JobStore
from shared.operations import migrate as migrating
from shared.operations.database import OperationsDatabase
from tests.conftest import wait_until
from tests.shared.conftest import run_sql

BEFORE = "0009"
OLD_JOB = sa.text(
    "insert into jobs (id, kind, queue, request, state, is_ready, done, attempts, fence, position, created_at) "
    "values (:id, 'build', 'transform', '{}', 'queued', true, 0, 0, 0, 0, current_timestamp)"
)
OLD_LOOK = sa.text("select * from idempotency_keys where key = :key and operation = 'build'")
OLD_KEY = sa.text(
    "insert into idempotency_keys (key, operation, body_hash, job_id, created_at) "
    "values (:key, 'build', 'hash', :id, current_timestamp)"
)
WAITING = sa.text(
    "select count(*) from pg_locks join pg_database on pg_database.oid = database "
    "where not granted and datname = current_database()"
)


def start_as_before(connection: sa.Connection, key: str) -> str:
    """What the release before sends for a start with an Idempotency-Key."""
    job_id = str(uuid.uuid4())
    connection.execute(OLD_LOOK, {"key": key})
    connection.execute(OLD_JOB, {"id": job_id})
    connection.execute(OLD_KEY, {"key": key, "id": job_id})
    return job_id


def step(url: str, revision: str, *, up: bool = True) -> None:
    config = migrating._config()
    config.attributes["url"] = url
    (command.upgrade if up else command.downgrade)(config, revision)


@pytest.fixture
def older(postgres_url: str) -> Iterator[str]:
    """A PostgreSQL database of the release before."""
    name = f"older_{uuid.uuid4().hex[:8]}"
    run_sql(postgres_url, f"create database {name}")
    step(postgres_url + name, BEFORE)
    yield postgres_url + name
    run_sql(postgres_url, f"drop database {name} with (force)")


def test_the_release_before_starts_jobs_on_the_new_schema(operations: OperationsDatabase) -> None:
    with operations.write() as session:
        job_id = start_as_before(session.connection(), "nightly")
    assert JobStore(operations).start(JobKind.BUILD, {}, idempotency_key="nightly").job.id == job_id


def test_a_start_under_way_and_the_migration_wait_for_each_other_in_one_order(older: str) -> None:
    failures: list[BaseException] = []

    def upgrade() -> None:
        try:
            step(older, "head")
        except BaseException as error:
            failures.append(error)

    engine = sa.create_engine(older)
    migration = threading.Thread(target=upgrade)
    with engine.connect() as connection, engine.connect() as observer:
        connection.execute(OLD_LOOK, {"key": "nightly"})
        migration.start()
        wait_until(lambda: bool(observer.execute(WAITING).scalar_one()), "the migration waits for the start")
        observer.rollback()
        start_as_before(connection, "nightly")
        connection.commit()
    migration.join(30)
    assert (failures, migration.is_alive()) == ([], False)
    step(older, BEFORE, up=False)
    step(older, "head")
    with engine.connect() as connection:
        assert connection.execute(sa.text("select caller, key from idempotency_keys")).all() == [("", "nightly")]
    engine.dispose()
