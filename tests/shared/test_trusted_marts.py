"""Which builds prove the marts, and which cast doubt on them, on both databases."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.scoring.adapters.builds import require_trusted_marts
from shared.contracts import BuildRequest, JobKind, JobState
from shared.errors import GtmError, InvalidRequest, TerminalError, TransientError
from shared.jobs.leases import Leases
from shared.jobs.store import JobStore
from shared.operations.database import OperationsDatabase
from shared.operations.models import BuildRun, Job
from shared.settings import OperationsSettings

Build = Callable[..., str]
TEST_FAILED = TerminalError("Test x failed on 3 rows.", code="dbt-test-failed", title="A test of the data failed")
COMPILE_FAILED = TerminalError("dim_accounts does not compile.", code="dbt-compile-failed", title="Does not compile")
NO_SUCH_NODE = InvalidRequest("select: no node is called typo.")
NOTHING_LANDED = TerminalError("There is no RAW data yet.", code="nothing-landed", title="Nothing has been landed")
WEIGHTS = TerminalError("weights: fleet_size", code="scoring-weights-invalid", title="The weights are not valid")


@pytest.fixture
def build(operations: OperationsDatabase) -> Build:
    """One build job, taken through the job protocol to its end; gives its id."""
    store, leases = JobStore(operations), Leases(operations, OperationsSettings())

    def run(state: JobState, *, select: str | None = None, error: GtmError | None = None, hours_ago: float = 0) -> str:
        request: dict[str, Any] = BuildRequest(select=select).model_dump(mode="json")
        job_id = store.start(JobKind.BUILD, request).job.id
        claim, _ = leases.claim(job_id)
        assert claim is not None
        leases.end(claim, state, result={}, error=error.to_problem() if error else None)
        with operations.write() as session:
            job = session.get_one(Job, job_id)
            assert job.started_at is not None and job.finished_at is not None
            job.started_at -= timedelta(hours=hours_ago)
            job.finished_at -= timedelta(hours=hours_ago)
        return job_id

    return run


def refusal(operations: OperationsDatabase) -> tuple[str, Any] | None:
    """Code and build id, or None when the marts are trusted."""
    try:
        require_trusted_marts(operations, is_forced=False, max_age_hours=36)
    except TerminalError as error:
        require_trusted_marts(operations, is_forced=True, max_age_hours=36)
        return error.code, error.extensions["build_id"]
    return None


def test_marts_built_by_hand_pass(operations: OperationsDatabase, build: Build) -> None:
    assert refusal(operations) is None
    build(JobState.SUCCEEDED, select="dim_accounts+")
    assert refusal(operations) is None


@pytest.mark.parametrize("error", [NO_SUCH_NODE, NOTHING_LANDED, WEIGHTS], ids=lambda error: str(error.code))
@pytest.mark.parametrize("is_proven", [True, False])
def test_a_build_that_never_ran_a_node_casts_no_doubt(
    operations: OperationsDatabase, build: Build, error: GtmError, is_proven: bool
) -> None:
    if is_proven:
        build(JobState.SUCCEEDED)
    build(JobState.FAILED, select="typo", error=error)
    assert refusal(operations) is None


@pytest.mark.parametrize("error", [TEST_FAILED, COMPILE_FAILED, None], ids=str)
def test_a_failed_build_is_mended_by_a_full_one_only(
    operations: OperationsDatabase, build: Build, error: GtmError | None
) -> None:
    build(JobState.SUCCEEDED)
    failed = build(JobState.FAILED, error=error)
    assert refusal(operations) == ("marts-not-trusted", failed)
    build(JobState.SUCCEEDED, select="stg_x")
    build(JobState.FAILED, select="typo", error=NO_SUCH_NODE)
    assert refusal(operations) == ("marts-not-trusted", failed)
    build(JobState.SUCCEEDED)
    assert refusal(operations) is None


def test_a_failed_build_of_a_part_casts_doubt_too(operations: OperationsDatabase, build: Build) -> None:
    build(JobState.SUCCEEDED)
    failed = build(JobState.FAILED, select="dim_accounts+", error=TEST_FAILED)
    assert refusal(operations) == ("marts-not-trusted", failed)


def test_a_build_cancelled_on_its_way_casts_doubt(operations: OperationsDatabase, build: Build) -> None:
    build(JobState.SUCCEEDED)
    cancelled = build(JobState.CANCELLED)
    assert refusal(operations) == ("marts-not-trusted", cancelled)
    build(JobState.SUCCEEDED)
    assert refusal(operations) is None


def test_a_build_cancelled_before_it_started_does_not(operations: OperationsDatabase, build: Build) -> None:
    build(JobState.SUCCEEDED)
    store = JobStore(operations)
    store.cancel(store.start(JobKind.BUILD, {"select": None, "full_refresh": False}).job.id)
    assert refusal(operations) is None


def test_only_a_full_build_keeps_the_marts_fresh(operations: OperationsDatabase, build: Build) -> None:
    old = build(JobState.SUCCEEDED, hours_ago=37)
    assert refusal(operations) == ("marts-stale", old)
    build(JobState.SUCCEEDED, select="stg_x")
    assert refusal(operations) == ("marts-stale", old)
    build(JobState.SUCCEEDED, hours_ago=35)
    assert refusal(operations) is None


def test_what_an_earlier_attempt_did_is_not_forgotten(operations: OperationsDatabase, build: Build) -> None:
    """The first attempt was killed while dbt ran; the second met broken weights, before dbt."""
    build(JobState.SUCCEEDED)
    store, leases = JobStore(operations), Leases(operations, OperationsSettings())
    job_id = store.start(JobKind.BUILD, {"select": None, "full_refresh": False}).job.id
    first, _ = leases.claim(job_id)
    assert first is not None
    leases.hand_back(first, TransientError("dbt was killed by signal 9.", code="dbt-killed", title="dbt was killed"))
    with operations.write() as session:
        session.execute(sa.update(Job).where(Job.id == job_id).values(lease_until=None))  # its backoff is over
    second, _ = leases.claim(job_id)
    assert second is not None
    leases.end(second, JobState.FAILED, error=WEIGHTS.to_problem())
    assert refusal(operations) == ("marts-not-trusted", job_id)


def test_a_build_that_outlived_the_proof_casts_doubt(operations: OperationsDatabase, build: Build) -> None:
    """It started first, lost its worker, and went on after the full build."""
    lost = build(JobState.FAILED, error=TEST_FAILED)
    build(JobState.SUCCEEDED)
    assert refusal(operations) is None
    with operations.write() as session:
        job = session.get_one(Job, lost)
        assert job.finished_at is not None
        job.finished_at += timedelta(minutes=5)
    assert refusal(operations) == ("marts-not-trusted", lost)


def test_a_build_beside_the_proof_casts_doubt(operations: OperationsDatabase, build: Build) -> None:
    """Snowflake lets two builds run at once: this one started later and broke off before the full one's end."""
    proof = build(JobState.SUCCEEDED)
    failed = build(JobState.FAILED, error=TEST_FAILED)
    with operations.write() as session:
        job = session.get_one(Job, proof)
        assert job.finished_at is not None
        job.finished_at += timedelta(minutes=5)
    assert refusal(operations) == ("marts-not-trusted", failed)


@pytest.mark.parametrize("has_begun", [True, False])
def test_a_retry_that_dbt_never_ran_for_casts_no_doubt(operations: OperationsDatabase, has_begun: bool) -> None:
    store, leases = JobStore(operations), Leases(operations, OperationsSettings())
    request = {"select": None, "full_refresh": False, "retry_of": "another"}
    retry = store.start(JobKind.BUILD, request).job.id
    claim, _ = leases.claim(retry)
    assert claim is not None
    if has_begun:
        with operations.write() as session:
            run = {"root_id": "another", "settings_version": "s", "project_version": "p", "full_refresh": False}
            session.add(BuildRun(job_id=retry, fence=claim.fence, started_at=operations.now(session), **run))
    leases.end(claim, JobState.FAILED, error=TEST_FAILED.to_problem())
    assert refusal(operations) == (("marts-not-trusted", retry) if has_begun else None)
