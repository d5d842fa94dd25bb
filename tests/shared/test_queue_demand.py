"""What autoscaling reads (deploy/components/keda) against the protocol that decides, on a real PostgreSQL."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml

from shared.contracts import TASKS, JobKind, JobState
from shared.jobs.leases import Leases
from shared.jobs.store import JobStore
from shared.operations.database import OperationsDatabase
from shared.operations.models import Job
from shared.settings import OperationsSettings
from tests.conftest import REPOSITORY
from tests.shared.conftest import TEMPLATE, run_sql
from tests.shared.protocol import PIPELINE, claim

KEDA = REPOSITORY / "deploy" / "components" / "keda" / "workers.yaml"
BUILD, SCORING = {"select": None}, {"limit": 1}


def _queries() -> dict[str, str]:
    """Queue -> the query with which its workers are counted."""
    objects = [one for one in yaml.safe_load_all(KEDA.read_text()) if one["kind"] == "ScaledObject"]
    queries = [one["spec"]["triggers"][0]["metadata"]["query"] for one in objects]
    return {query.partition("queue = '")[2].partition("'")[0]: query for query in queries}


@pytest.fixture
def postgres(postgres_url: str, tmp_path: Path) -> Iterator[OperationsDatabase]:
    name = f"demand_{tmp_path.name}".lower().replace("-", "_")[:60]
    run_sql(postgres_url, f"create database {name} template {TEMPLATE}")
    database = OperationsDatabase(postgres_url + name)
    yield database
    database.dispose()
    run_sql(postgres_url, f"drop database {name}")


@pytest.fixture
def house(postgres: OperationsDatabase) -> "House":
    return House(postgres)


class House:
    """A job table, and the number of workers that the manifests ask for."""

    def __init__(self, database: OperationsDatabase) -> None:
        self.database = database
        self.store = JobStore(database)
        self.leases = Leases(database, OperationsSettings())

    def start(self, kind: JobKind, request: dict[str, Any]) -> str:
        return self.store.start(kind, request, idempotency_key=None).job.id

    def age(self, seconds: float, **columns: Any) -> None:
        """As if every job had been started so long ago."""
        moved = {"created_at": datetime.now(UTC) - timedelta(seconds=seconds), **columns}
        with self.database.write() as session:
            session.execute(sa.update(Job).values(moved))

    def wanted(self, queue: str) -> float:
        with self.database.read() as session:
            return float(session.execute(sa.text(_queries()[queue])).scalar_one())


def test_every_queue_is_counted_and_no_other() -> None:
    assert set(_queries()) == {queue for _, queue in TASKS.values()}


def test_an_empty_house_wants_nobody(house: House) -> None:
    assert {queue: house.wanted(queue) for queue in _queries()} == dict.fromkeys(_queries(), 0.0)


def test_a_sync_counts_once_it_has_waited_and_while_it_runs(house: House) -> None:
    job_id = house.start(JobKind.SYNC, {"source": "mock"})
    assert house.wanted("ingest") == 0
    house.age(21)
    assert house.wanted("ingest") == 1
    held = claim(house.leases, job_id)
    assert house.wanted("ingest") == 1
    house.leases.end(held, JobState.SUCCEEDED)
    assert house.wanted("ingest") == 0


def test_what_waits_for_its_turn_asks_for_no_further_worker(house: House) -> None:
    """The lanes of shared/contracts.py: a source's syncs one by one, and one build at a time."""
    first, *_ = [house.start(JobKind.SYNC, {"source": "mock"}) for _ in range(3)]
    house.start(JobKind.SYNC, {"source": "files"})
    house.age(60)
    assert house.wanted("ingest") == 2
    claim(house.leases, first)
    assert house.wanted("ingest") == 2
    for _ in range(2):
        house.start(JobKind.BUILD, BUILD)
    assert house.wanted("transform") == 1


def test_scorings_have_no_turn_to_wait_for(house: House) -> None:
    for _ in range(3):
        house.start(JobKind.SCORING, SCORING)
    assert house.wanted("scoring.batch") == 3


def test_what_is_not_due_or_not_ready_asks_for_nobody(house: House) -> None:
    house.start(JobKind.SCORING, SCORING)
    house.age(600, due_at=datetime.now(UTC) + timedelta(hours=1))
    assert house.wanted("scoring.batch") == 0
    house.start(JobKind.PIPELINE, PIPELINE)
    assert house.wanted("transform") == 0


def test_a_child_of_a_pipeline_waits_since_the_one_before_it_ended(house: House) -> None:
    pipeline = house.start(JobKind.PIPELINE, PIPELINE)
    with house.database.read() as session:
        children = sa.select(Job.id).where(Job.parent_id == pipeline).order_by(Job.position)
        sync = session.scalars(children).first()
    house.age(3600)
    assert sync is not None
    house.leases.end(claim(house.leases, sync), JobState.SUCCEEDED)
    assert house.wanted("transform") == 1
    with house.database.read() as session:
        waited = session.execute(sa.text("select waited_seconds from queue_demand")).scalar_one()
    assert 0 <= waited < 60


def test_a_job_that_comes_due_has_waited_since_then(house: House) -> None:
    house.start(JobKind.SYNC, {"source": "mock"})
    house.age(600, due_at=datetime.now(UTC) - timedelta(seconds=5))
    assert house.wanted("ingest") == 0


def test_the_autoscaler_may_read_this_and_nothing_else(house: House) -> None:
    house.start(JobKind.BUILD, BUILD)
    with house.database.write() as session:
        for statement in _GRANTS:
            session.execute(sa.text(statement))
    with house.database.read() as session:
        session.execute(sa.text("set local role fleet_gtm_autoscaler"))
        assert session.execute(sa.text(_queries()["transform"])).scalar_one() == 1
        with pytest.raises(sa.exc.ProgrammingError, match="permission denied"), session.begin_nested():
            session.execute(sa.text("select request from jobs"))


_GRANTS = (
    "do $$ begin create role fleet_gtm_autoscaler; exception when duplicate_object then null; end $$",
    "grant select on queue_demand to fleet_gtm_autoscaler",
)
