"""What a build writes into the operations database and what a retry takes from it, on both databases."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.orm import Session

from services.transform.adapters.build_nodes import NOTHING_SEEN, read_changes, read_nodes
from services.transform.adapters.build_record import OperationsRecord
from services.transform.adapters.remainders import is_disturbed, read_remainder
from services.transform.domain.build_plan import BuildPlan
from services.transform.domain.run_results import NodeResult
from shared.contracts import BuildRequest, JobKind, JobState
from shared.errors import TerminalError, TransientError
from shared.jobs.leases import Claim, Leases
from shared.jobs.store import JobStore
from shared.operations.database import OperationsDatabase
from shared.operations.models import BuildRun, Job
from shared.settings import OperationsSettings
from tests.conftest import REPOSITORY
from tests.shared.protocol import claim

PASSED = NodeResult("first", "model", "passed", unique_id="model.x.first")
FAILED = NodeResult("unique_first_id", "test", "failed", failures=3, unique_id="test.x.unique.a1", tested=("first",))
SKIPPED = NodeResult("second", "model", "skipped", unique_id="model.x.second")


@dataclass
class Flaky:
    """A database that fails now and then: before a transaction does anything, or after its commit."""

    database: OperationsDatabase
    failures: list[str] = field(default_factory=list)

    @contextmanager
    def write(self) -> Iterator[Session]:
        failure = self.failures.pop(0) if self.failures else None
        if failure == "away":
            raise sa.exc.OperationalError("begin", None, Exception("server closed the connection"))
        if failure == "exhausted":
            raise sa.exc.TimeoutError("QueuePool limit reached")
        with self.database.write() as session:
            yield session
        if failure == "lost answer":
            raise sa.exc.OperationalError("commit", None, Exception("server closed the connection"))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.database, name)


@dataclass
class Builds:
    """Builds as their workers leave them."""

    operations: OperationsDatabase

    @property
    def store(self) -> JobStore:
        return JobStore(self.operations)

    @property
    def leases(self) -> Leases:
        return Leases(self.operations, OperationsSettings())

    def begin(self, settings: str = "settings", project: str = "project", **request: Any) -> tuple[str, Claim]:
        body = BuildRequest.model_construct(**request).model_dump(mode="json")
        job_id = self.store.start(JobKind.BUILD, body).job.id
        claimed = claim(self.leases, job_id)
        self.record(job_id, claimed).begin(BuildPlan(job_id, settings, project, full_refresh=False))
        return job_id, claimed

    def record(self, job_id: str, claimed: Claim) -> OperationsRecord:
        return OperationsRecord(self.operations, job_id, claimed.fence)

    def end(self, job_id: str, claimed: Claim, state: JobState, *results: NodeResult) -> str:
        self.record(job_id, claimed).complete(results)
        with self.operations.write() as session:
            session.get_one(Job, job_id).total = len(results)
        self.leases.end(claimed, state, result={})
        return job_id

    def failed(self) -> str:
        return self.end(*self.begin(), JobState.FAILED, PASSED, FAILED, SKIPPED)


@pytest.fixture
def builds(operations: OperationsDatabase) -> Builds:
    return Builds(operations)


@pytest.mark.parametrize("failure", ["away", "exhausted", "lost answer"])
def test_a_database_that_comes_back_costs_no_build(builds: Builds, failure: str) -> None:
    job_id, claimed = builds.begin()
    flaky = Flaky(builds.operations, [failure])
    record = OperationsRecord(flaky, job_id, claimed.fence)  # type: ignore[arg-type]  # it is one but for the failures
    record.begin(BuildPlan(job_id, "settings", "project", full_refresh=False))
    flaky.failures.append(failure)
    record.note(NodeResult("first", "model", "running", unique_id="model.x.first"))
    record.flush()  # fails, and is left to the end
    flaky.failures.append(failure)
    record.complete([PASSED, FAILED])
    statuses = {node.node: node.status for node in read_nodes(builds.operations, job_id).items}
    assert (statuses, flaky.failures) == ({"first": "passed", "unique_first_id": "failed"}, [])


@pytest.mark.parametrize("failure", ["away", "exhausted"])
def test_a_database_that_stays_away_sends_the_build_back(builds: Builds, failure: str) -> None:
    job_id, claimed = builds.begin()
    flaky = Flaky(builds.operations, [failure] * 9)
    record = OperationsRecord(flaky, job_id, claimed.fence, patience_seconds=0)  # type: ignore[arg-type]
    for work in (lambda: record.begin(BuildPlan(job_id, "s", "p", full_refresh=False)), lambda: record.complete([])):
        with pytest.raises(TransientError) as caught:
            work()
        assert caught.value.code == "operations-unavailable"


def test_with_a_failed_test_its_models_and_what_is_downstream_are_run(builds: Builds) -> None:
    rest = read_remainder(builds.operations, builds.failed())
    assert rest.names == ("first+", "second", "unique_first_id")
    assert rest.unique_ids == {"model.x.second", "test.x.unique.a1"}


@pytest.mark.parametrize(
    ("other", "doubt"),
    [
        ({}, False),
        ({"settings": "others"}, True),
        ({"project": "another"}, True),
    ],
    ids=str,
)
def test_a_part_built_from_something_else_in_between_is_doubtful(
    builds: Builds, other: dict[str, str], doubt: bool
) -> None:
    builds.end(*builds.begin(settings="of last week"), JobState.SUCCEEDED)
    root = builds.failed()
    builds.end(*builds.begin(select="first", **other), JobState.SUCCEEDED, PASSED)
    rest = read_remainder(builds.operations, root)
    retry = builds.store.start(JobKind.BUILD, {"select": None, "retry_of": root}).job.id
    assert is_disturbed(builds.operations, rest, retry) is doubt


@pytest.mark.parametrize("retaken", [True, False])
def test_a_part_built_in_several_attempts_is_doubtful(builds: Builds, retaken: bool) -> None:
    root = builds.failed()
    job_id, claimed = builds.begin(select="first")
    if retaken:
        builds.leases.hand_back(claimed, None)
        claimed = claim(builds.leases, job_id)
    builds.end(job_id, claimed, JobState.SUCCEEDED, PASSED)
    assert is_disturbed(builds.operations, read_remainder(builds.operations, root), "retry") is retaken


@pytest.mark.parametrize("select", [" ", "*", "first *"])
def test_a_selection_of_everything_is_a_whole_build(builds: Builds, select: str) -> None:
    root = builds.failed()
    later = builds.end(*builds.begin(select=select), JobState.SUCCEEDED, PASSED)
    with pytest.raises(TerminalError, match=f"is not the last one: build {later}"):
        read_remainder(builds.operations, root)


def test_a_follower_learns_of_what_the_builds_end_cut_short(builds: Builds) -> None:
    job_id, claimed = builds.begin()
    record = builds.record(job_id, claimed)
    for name in ("first", "second"):
        record.note(NodeResult(name, "model", "running", unique_id=f"model.x.{name}"))
    record.complete([])
    *_, (seen, _) = read_changes(builds.operations, job_id, NOTHING_SEEN, is_over=False)
    record.complete([PASSED])
    builds.leases.end(claimed, JobState.CANCELLED)
    changes = read_changes(builds.operations, job_id, seen, is_over=True)
    assert {node.node: node.status for _, node in changes} == {"first": "passed", "second": "failed"}
    assert all(moment >= seen for moment, _ in changes)


def test_the_migrations_go_back_and_forth(operations: OperationsDatabase) -> None:
    config = Config()
    config.set_main_option("script_location", str(REPOSITORY / "shared" / "operations" / "migrations"))
    config.attributes["url"] = operations.engine.url.render_as_string(hide_password=False)
    command.downgrade(config, "0001")
    assert BuildRun.__tablename__ not in sa.inspect(operations.engine).get_table_names()
    command.upgrade(config, "head")
    command.check(config)
