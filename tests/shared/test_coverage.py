"""Which loads a build of changed records takes up, and when only a whole build will do; on both databases."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from services.scoring.adapters.builds import require_trusted_marts
from services.transform.adapters.coverage import Coverage, read_coverage
from services.transform.domain.build_plan import BuildPlan
from shared.contracts import BuildRequest, JobKind, JobState
from shared.errors import TerminalError
from shared.jobs.leases import Leases
from shared.jobs.store import JobStore
from shared.operations.database import OperationsDatabase
from shared.operations.models import BuildRun, Job
from shared.settings import OperationsSettings

FAILED = TerminalError("Test x failed on 3 rows.", code="dbt-test-failed", title="A test of the data failed")
HERE = ("settings", "project")


@pytest.fixture
def sync(operations: OperationsDatabase) -> Callable[[], str]:
    """A sync from its start to its end; gives its id."""

    def run() -> str:
        return _run(operations, JobKind.SYNC, {"source": "mock"}, JobState.SUCCEEDED)

    return run


@pytest.fixture
def build(operations: OperationsDatabase) -> Callable[..., str]:
    """A build in which dbt ran; gives its id."""

    def run(
        state: JobState = JobState.SUCCEEDED,
        *,
        built: str | None = None,
        versions: tuple[str, str] = HERE,
        has_run: bool = True,
        hours_ago: float = 0,
        **request: Any,
    ) -> str:
        content = BuildRequest(**request).model_dump(mode="json")
        job_id = _run(operations, JobKind.BUILD, content, state, {"built": built} if built else {})
        with operations.write() as session:
            job = session.get_one(Job, job_id)
            assert job.started_at is not None and job.finished_at is not None
            job.started_at -= timedelta(hours=hours_ago)
            job.finished_at -= timedelta(hours=hours_ago)
            if has_run:
                settings, project = versions
                session.add(
                    BuildRun(
                        job_id=job_id,
                        fence=1,
                        root_id=job_id,
                        settings_version=settings,
                        project_version=project,
                        full_refresh=False,
                        started_at=job.started_at,
                    )
                )
        return job_id

    return run


def _run(
    operations: OperationsDatabase,
    kind: JobKind,
    request: dict[str, Any],
    state: JobState,
    result: dict[str, Any] | None = None,
) -> str:
    store, leases = JobStore(operations), Leases(operations, OperationsSettings())
    job_id = store.start(kind, request).job.id
    claim, _ = leases.claim(job_id)
    assert claim is not None
    error = FAILED.to_problem() if state == JobState.FAILED else None
    leases.end(claim, state, result=result or {}, error=error)
    return job_id


def coverage(operations: OperationsDatabase, load_id: str) -> Coverage:
    return read_coverage(operations, BuildPlan("this", *HERE, full_refresh=False), load_id)


def test_a_load_is_taken_up_with_those_that_no_build_has_seen(
    operations: OperationsDatabase, sync: Callable[[], str], build: Callable[..., str]
) -> None:
    sync()
    build()
    loads = [sync(), sync()]
    assert coverage(operations, loads[1]) == Coverage(loads[1], tuple(sorted(loads)), None)
    build(load_id=loads[1], built="affected")
    last = sync()
    assert coverage(operations, last) == Coverage(last, (last,), None), "a build of the affected part counts like it"
    build(load_id=last, built="nothing", has_run=False)
    build(select="dim_accounts")
    assert coverage(operations, last) == Coverage(last, (last,), None), "neither of them has taken it up"


@pytest.mark.parametrize(
    "later",
    [
        {"state": JobState.FAILED},
        {"state": JobState.CANCELLED},
        {"state": JobState.FAILED, "select": "dim_accounts"},
        {"state": JobState.FAILED, "load_id": "x"},
        {"versions": ("settings of yesterday", "project")},
        {"versions": ("settings", "another project"), "select": "dim_accounts"},
    ],
    ids=str,
)
def test_after_what_leaves_parts_that_do_not_fit_everything_is_built(
    operations: OperationsDatabase, sync: Callable[[], str], build: Callable[..., str], later: dict[str, Any]
) -> None:
    build()
    missed = sync()
    build(**later)
    load = sync()
    found = coverage(operations, load)
    assert found.reason is not None and load in found.loads
    assert (missed in found.loads) is (later.get("state") is not None or "select" in later)
    build(load_id=load, built="everything")
    assert coverage(operations, load).reason is None


def test_before_any_whole_build_everything_is_built(operations: OperationsDatabase, sync: Callable[[], str]) -> None:
    load = sync()
    assert coverage(operations, load) == Coverage(load, (load,), "no whole build has succeeded")


def test_a_part_that_was_built_makes_no_marts_trusted_and_a_part_that_failed_casts_doubt(
    operations: OperationsDatabase, build: Callable[..., str]
) -> None:
    def refusal() -> tuple[str, Any] | None:
        try:
            require_trusted_marts(operations, is_forced=False, max_age_hours=36)
        except TerminalError as error:
            return error.code, error.extensions["build_id"]
        return None

    old = build(hours_ago=37)
    build(load_id="a", built="affected")
    build(load_id="b", built="nothing")
    assert refusal() == ("marts-stale", old)
    build(load_id="c", built="everything")
    assert refusal() is None, "all was built"
    failed = build(JobState.FAILED, load_id="d")
    build(load_id="e", built="affected")
    assert refusal() == ("marts-not-trusted", failed)
    build(load_id="f", built="everything")
    assert refusal() is None
