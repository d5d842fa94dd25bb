"""The job table's promises, without processes: one holder, a state that never goes back, nothing owed is lost."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.contracts import TERMINAL_STATES, JobKind, JobState
from shared.jobs.leases import Claim, Leases
from shared.jobs.store import JobStore
from shared.operations.database import OperationsDatabase
from shared.operations.models import Job
from shared.settings import OperationsSettings
from tests.shared.protocol import BUSY, claim, expire


def test_a_job_has_one_holder(store: JobStore, leases: Leases) -> None:
    job = store.start(JobKind.BUILD, {}).job
    claim(leases, job.id)
    assert leases.claim(job.id) == (None, [])


def test_a_job_of_a_lost_worker_is_taken_over_and_the_old_holder_can_write_no_more(
    store: JobStore, leases: Leases, operations: OperationsDatabase
) -> None:
    job = store.start(JobKind.BUILD, {}).job
    first = claim(leases, job.id)
    expire(operations, job.id)
    second = claim(leases, job.id)
    assert second.fence == first.fence + 1
    assert not leases.beat(first, {"done": 99}).is_held
    assert leases.end(first, JobState.FAILED) is None
    assert leases.hand_back(first, BUSY) is None
    assert leases.end(second, JobState.SUCCEEDED, result={}) == []
    ended = store.get(job.id)
    assert (ended.state, ended.attempts, ended.progress.done) == (JobState.SUCCEEDED, 2, 0)


def test_a_dead_process_of_this_host_holds_nothing(
    store: JobStore, leases: Leases, operations: OperationsDatabase
) -> None:
    job = store.start(JobKind.BUILD, {}).job
    owner = claim(leases, job.id)
    with operations.write() as session:
        held = session.get_one(Job, job.id)
        host, pid, _ = str(held.worker).rsplit(":", 2)
        held.worker = f"{host}:{pid}:1"  # a process with this pid, but not that one
    assert claim(leases, job.id).fence == owner.fence + 1


def test_the_third_lost_worker_fails_the_job_and_says_why(
    store: JobStore, leases: Leases, operations: OperationsDatabase
) -> None:
    job = store.start(JobKind.BUILD, {}).job
    for _ in range(3):
        claim(leases, job.id)
        expire(operations, job.id)
    assert leases.claim(job.id) == (None, [])
    ended = store.get(job.id)
    assert ended.state == JobState.FAILED
    assert ended.error is not None and ended.error["code"] == "worker-lost" and "died 3 times" in ended.error["detail"]


def test_a_transient_error_is_tried_three_times_with_growing_pauses(
    store: JobStore, leases: Leases, operations: OperationsDatabase
) -> None:
    job = store.start(JobKind.SCORING, {}).job
    pauses = []
    for _ in range(2):
        assert leases.hand_back(claim(leases, job.id), BUSY) == []
        assert leases.claim(job.id) == (None, []), "not before the pause is over"
        with operations.read() as session:
            pauses.append((session.get_one(Job, job.id).lease_until or datetime.now(UTC)) - datetime.now(UTC))
        assert store.get(job.id).error is not None, "the caller sees why it waits"
        expire(operations, job.id)
    assert pauses[0] < pauses[1]
    leases.hand_back(claim(leases, job.id), BUSY)
    assert (store.get(job.id).state, (store.get(job.id).error or {})["code"]) == (JobState.FAILED, "busy")


def test_jobs_that_failed_together_do_not_come_back_together(
    store: JobStore, leases: Leases, operations: OperationsDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of twenty that one lock refused, the lock would refuse the twenty-first again."""
    jobs = [store.start(JobKind.RESCORE, {"account_id": f"hubspot:{number}"}).job.id for number in range(6)]
    with operations.read() as session:
        moment = operations.now(session)
    monkeypatch.setattr(operations, "now", lambda _session: moment)
    for held in [claim(leases, job) for job in jobs]:
        assert leases.hand_back(held, BUSY) == []
    with operations.read() as session:
        pauses = {(session.get_one(Job, job).lease_until or moment) - moment for job in jobs}
    assert len(pauses) > 1 and all(timedelta(seconds=1) < pause <= timedelta(seconds=2) for pause in pauses)


def test_a_slice_that_got_on_is_not_an_attempt_and_one_that_did_not_is(store: JobStore, leases: Leases) -> None:
    job = store.start(JobKind.SCORING, {}).job
    for _ in range(5):
        assert leases.hand_back(claim(leases, job.id), None, is_counted=False)
    assert store.get(job.id).attempts == 0
    for _ in range(2):
        assert leases.hand_back(claim(leases, job.id), None)
    assert leases.hand_back(claim(leases, job.id), None) == []
    assert (store.get(job.id).state, (store.get(job.id).error or {})["code"]) == (JobState.FAILED, "time-limit")


def test_a_late_heartbeat_does_not_take_back_what_was_handed_back(store: JobStore, leases: Leases) -> None:
    job = store.start(JobKind.SCORING, {}).job
    first = claim(leases, job.id)
    leases.hand_back(first, None, is_counted=False)
    assert not leases.beat(first).is_held
    claim(leases, job.id)


STEPS = ["claim", "beat", "succeed", "fail", "hand_back", "slice", "expire", "cancel", "sweep"]


@pytest.fixture
def fresh(operations: OperationsDatabase) -> Iterator[OperationsDatabase]:
    yield operations


@given(steps=st.lists(st.sampled_from(STEPS), max_size=30))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_a_state_never_goes_back(fresh: OperationsDatabase, steps: list[str]) -> None:
    store, leases = JobStore(fresh), Leases(fresh, OperationsSettings())
    order = {"queued": 0, "running": 1, "succeeded": 2, "failed": 2, "cancelled": 2}
    job_id = store.start(JobKind.SCORING, {}).job.id
    held: Claim | None = None
    seen = JobState.QUEUED
    for step in steps:
        if step == "claim":
            held = leases.claim(job_id)[0] or held
        elif step == "expire":
            expire(fresh, job_id)
        elif step == "cancel":
            store.cancel(job_id)
        elif step == "sweep":
            leases.sweep()
        elif held is not None:
            {
                "beat": lambda: leases.beat(held, {"done": 1}),
                "succeed": lambda: leases.end(held, JobState.SUCCEEDED, result={}),
                "fail": lambda: leases.end(held, JobState.FAILED, error={}),
                "hand_back": lambda: leases.hand_back(held, BUSY),
                "slice": lambda: leases.hand_back(held, None),
            }[step]()
        now = store.get(job_id)
        assert order[now.state] >= order[seen]
        assert seen not in TERMINAL_STATES or now.state == seen
        assert now.attempts <= 3
        seen = now.state


def test_many_claimers_one_holder(store: JobStore, operations: OperationsDatabase) -> None:
    job_id = store.start(JobKind.BUILD, {}).job.id
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda _: Leases(operations, OperationsSettings()).claim(job_id)[0], range(16)))
    assert len([claimed for claimed in claims if claimed is not None]) == 1
