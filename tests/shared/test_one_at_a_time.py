"""Two builds never run at once, whatever the number of workers, and waiting costs neither attempts nor a worker."""

from concurrent.futures import ThreadPoolExecutor

from shared.contracts import JobKind, JobState
from shared.jobs.leases import Claim, Leases
from shared.jobs.store import JobStore
from shared.operations.database import OperationsDatabase
from tests.shared.protocol import claim, expire

BUILD = {"select": None, "full_refresh": False}


def _start(store: JobStore) -> str:
    return store.start(JobKind.BUILD, BUILD).job.id


def _sync(store: JobStore, source: str) -> str:
    return store.start(JobKind.SYNC, {"source": source}).job.id


def test_the_second_build_waits_and_the_first_one_calls_it(store: JobStore, leases: Leases) -> None:
    first, second, third = (_start(store) for _ in range(3))
    held = claim(leases, first)
    assert leases.claim(second) == (None, [])
    waiting = store.get(second)
    assert (waiting.state, waiting.attempts) == (JobState.QUEUED, 0)
    tickets = leases.end(held, JobState.SUCCEEDED, result={})
    assert tickets is not None and [ticket.job_id for ticket in tickets] == [second]  # the one that waits longest
    claim(leases, second)
    assert leases.claim(third) == (None, [])


def test_other_kinds_do_not_wait(store: JobStore, leases: Leases) -> None:
    claim(leases, _start(store))
    claim(leases, _sync(store, "mock"))
    for _ in range(2):
        claim(leases, store.start(JobKind.SCORING, {}).job.id)


def test_of_a_source_one_sync_runs_and_its_end_calls_the_next_one_of_that_source(
    store: JobStore, leases: Leases
) -> None:
    first, other, second = (_sync(store, source) for source in ("hubspot", "salesforce", "hubspot"))
    held = claim(leases, first)
    assert leases.claim(second) == (None, [])
    beside = claim(leases, other)
    assert leases.end(beside, JobState.SUCCEEDED, result={}) == []
    tickets = leases.end(held, JobState.SUCCEEDED, result={})
    assert tickets is not None and [ticket.job_id for ticket in tickets] == [second]
    claim(leases, second)


def test_a_build_whose_worker_is_lost_goes_on_before_the_next(
    operations: OperationsDatabase, store: JobStore, leases: Leases
) -> None:
    first, second = _start(store), _start(store)
    for attempt in (1, 2, 3):
        assert claim(leases, first).attempt == attempt
        expire(operations, first)
        assert leases.claim(second) == (None, [])
    claimed, tickets = leases.claim(first)  # a fourth time: it ends, and calls the one that waits
    assert claimed is None and [ticket.job_id for ticket in tickets] == [second]
    assert store.get(first).state == JobState.FAILED
    claim(leases, second)


def test_a_build_that_is_to_be_tried_again_keeps_its_turn(store: JobStore, leases: Leases) -> None:
    first, second = _start(store), _start(store)
    leases.hand_back(claim(leases, first), None)
    assert leases.claim(second) == (None, [])
    claim(leases, first)


def test_a_waiting_build_can_be_cancelled(store: JobStore, leases: Leases) -> None:
    claim(leases, _start(store))
    second = _start(store)
    leases.claim(second)
    assert store.cancel(second).job.state == JobState.CANCELLED


def test_of_claims_at_the_same_moment_one_is_given(store: JobStore, leases: Leases) -> None:
    for _ in range(5):
        with ThreadPoolExecutor(4) as workers:
            claims = [held for held, _ in workers.map(leases.claim, [_start(store) for _ in range(4)]) if held]
        assert len(claims) == 1
        _end_all(store, leases, claims[0])


def _end_all(store: JobStore, leases: Leases, held: Claim) -> None:
    for job in store.page(state=JobState.QUEUED).items:
        store.cancel(job.id)
    leases.end(held, JobState.SUCCEEDED, result={})
