"""A pipeline is a job with three children; what ends one starts or ends the others, in one transaction."""

import pytest

from shared.contracts import TERMINAL_STATES, JobKind, JobState
from shared.errors import NotFound
from shared.jobs.leases import Leases
from shared.jobs.store import JobStore
from tests.shared.protocol import PIPELINE, claim


def test_a_pipeline_runs_its_children_in_order(store: JobStore, leases: Leases) -> None:
    job = store.start(JobKind.PIPELINE, PIPELINE).job
    assert job.children is not None
    assert [child.kind for child in job.children] == [JobKind.SYNC, JobKind.BUILD, JobKind.SCORING]
    assert leases.claim(job.children[1].id) == (None, []), "a build before its sync"
    for position, child in enumerate(job.children):
        held = claim(leases, child.id)
        assert store.get(job.id).state == JobState.RUNNING
        tickets = leases.end(held, JobState.SUCCEEDED, result={"n": position})
        assert tickets is not None
        assert [ticket.job_id for ticket in tickets] == [later.id for later in job.children[position + 1 :][:1]]
    done = store.get(job.id)
    assert done.state == JobState.SUCCEEDED
    assert done.result == {"sync": {"n": 0}, "build": {"n": 1}, "scoring": {"n": 2}}
    assert (done.progress.done, done.progress.total, done.progress.unit) == (3, 3, "jobs")


def test_a_failed_child_fails_the_pipeline_and_the_rest_never_starts(store: JobStore, leases: Leases) -> None:
    job = store.start(JobKind.PIPELINE, PIPELINE).job
    assert job.children is not None
    leases.end(claim(leases, job.children[0].id), JobState.FAILED, error={"code": "no-such-file"})
    ended = store.get(job.id)
    assert ended.children is not None
    assert (ended.state, [child.state for child in ended.children]) == ("failed", ["failed", "cancelled", "cancelled"])
    assert ended.error == {"code": "no-such-file", "child_id": job.children[0].id, "child_kind": "sync"}


@pytest.mark.parametrize("running", [0, 1, 2])
def test_cancelling_a_pipeline(store: JobStore, leases: Leases, running: int) -> None:
    job = store.start(JobKind.PIPELINE, PIPELINE).job
    assert job.children is not None
    for child in job.children[:running]:
        leases.end(claim(leases, child.id), JobState.SUCCEEDED, result={})
    held = claim(leases, job.children[running].id)
    store.cancel(job.id)
    assert store.get(job.id).state == JobState.RUNNING, "until the child has stopped"
    assert leases.beat(held).is_cancel_requested
    leases.end(held, JobState.CANCELLED)
    ended = store.get(job.id)
    assert ended.state == JobState.CANCELLED
    assert {child.state for child in ended.children or []} <= TERMINAL_STATES


def test_cancelling_what_waits_ends_it_at_once_and_what_ended_stays(store: JobStore, leases: Leases) -> None:
    waiting = store.start(JobKind.BUILD, {}).job
    assert store.cancel(waiting.id).job.state == JobState.CANCELLED
    done = store.start(JobKind.BUILD, {}).job
    leases.end(claim(leases, done.id), JobState.SUCCEEDED, result={})
    assert store.cancel(done.id).job.state == JobState.SUCCEEDED
    with pytest.raises(NotFound):
        store.cancel("no-such-job")
