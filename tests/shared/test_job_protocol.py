"""The job table's promises, without processes: one holder, a state that never goes back, nothing owed is lost."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.contracts import TERMINAL_STATES, JobKind, JobState
from shared.errors import InvalidRequest, NotFound, TransientError
from shared.jobs.leases import Claim, Leases
from shared.jobs.store import JobStore
from shared.jobs.transitions import add_job, request_coalesced
from shared.operations.database import OperationsDatabase
from shared.operations.models import Generation, Job, WebhookEvent
from shared.settings import OperationsSettings
from tests.conftest import REPOSITORY

PIPELINE = {"sync": {"source": "mock"}}
BUSY = TransientError("try later", code="busy", title="Busy")


@pytest.fixture
def store(operations: OperationsDatabase) -> JobStore:
    return JobStore(operations)


@pytest.fixture
def leases(operations: OperationsDatabase) -> Leases:
    return Leases(operations, OperationsSettings())


def claim(leases: Leases, job_id: str) -> Claim:
    claimed, _ = leases.claim(job_id)
    assert claimed is not None
    return claimed


def expire(operations: OperationsDatabase, job_id: str) -> None:
    """As if the lease's time had passed on a machine that is gone."""
    with operations.write() as session:
        past = datetime.now(UTC) - timedelta(seconds=1)
        session.execute(sa.update(Job).where(Job.id == job_id).values(lease_until=past, worker="elsewhere:1:1"))


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


def test_an_idempotency_key_starts_one_job(store: JobStore) -> None:
    first = store.start(JobKind.BUILD, {"select": "a"}, idempotency_key="k")
    again = store.start(JobKind.BUILD, {"select": "a"}, idempotency_key="k")
    assert (again.job.id, again.tickets) == (first.job.id, [])
    assert store.start(JobKind.SYNC, {"source": "mock"}, idempotency_key="k").job.id != first.job.id
    with pytest.raises(InvalidRequest, match="another request body"):
        store.start(JobKind.BUILD, {"select": "b"}, idempotency_key="k")


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


def test_an_event_after_a_cancel_is_answered(store: JobStore, leases: Leases, operations: OperationsDatabase) -> None:
    def ask() -> str:
        with operations.write() as session:
            return request_coalesced(session, JobKind.RESCORE, "a1", {}, datetime.now(UTC))[0].id

    held = claim(leases, ask())
    ask()
    store.cancel(held.job_id)
    assert ask() == held.job_id, "the dying job still answers, by a successor"
    tickets = leases.end(held, JobState.CANCELLED)
    assert tickets is not None and len(tickets) == 1
    held = claim(leases, tickets[0].job_id)
    store.cancel(held.job_id)
    assert leases.end(held, JobState.CANCELLED) == [], "nothing came after this cancel"


def test_events_and_workers_do_not_wait_for_each_other(
    store: JobStore, leases: Leases, operations: OperationsDatabase
) -> None:
    """On PostgreSQL a reference to a job needs a lock on its row; with a stronger one of ours both would deadlock."""
    failures: list[Exception] = []

    def send(sender: int) -> None:
        for number in range(25):
            with operations.write() as session:
                now = datetime.now(UTC)
                job, _ = request_coalesced(session, JobKind.RESCORE, f"a{number % 2}", {}, now)
                event = WebhookEvent(source="s", event_id=f"{sender}-{number}", event_type="t", received_at=now)
                session.flush()
                event.job_id = job.id
                session.add(event)

    def work() -> None:
        while not is_sent.is_set():
            for job in store.page(state=JobState.QUEUED).items:
                claimed, _ = leases.claim(job.id)
                if claimed is not None:
                    leases.end(claimed, JobState.SUCCEEDED, result={})

    def note(run: Callable[[], None]) -> None:
        try:
            run()
        except Exception as error:
            failures.append(error)

    for subject in ("a0", "a1"):
        with operations.write() as session:
            request_coalesced(session, JobKind.RESCORE, subject, {}, datetime.now(UTC))
    is_sent = threading.Event()
    workers = [threading.Thread(target=note, args=[work]) for _ in range(2)]
    senders = [threading.Thread(target=note, args=[partial(send, number)]) for number in range(3)]
    for thread in (*workers, *senders):
        thread.start()
    for thread in senders:
        thread.join()
    is_sent.set()
    for thread in workers:
        thread.join()
    assert failures == []


def test_events_that_come_while_a_rescore_runs_get_one_more(
    store: JobStore, leases: Leases, operations: OperationsDatabase
) -> None:
    def ask() -> str:
        with operations.write() as session:
            job, _ = request_coalesced(session, JobKind.RESCORE, "a1", {"account_id": "a1"}, datetime.now(UTC))
            return job.id

    first = ask()
    assert ask() == first, "one waiting job answers both"
    held = claim(leases, first)
    assert {ask(), ask()} == {first}
    tickets = leases.end(held, JobState.FAILED, error={"code": "busy"})
    assert tickets is not None and len(tickets) == 1, "a failed run owes as well"
    assert leases.end(claim(leases, tickets[0].job_id), JobState.SUCCEEDED, result={}) == []
    with operations.read() as session:
        generation = session.get_one(Generation, ("rescore", "a1"))
        assert (generation.requested, generation.taken) == (4, 4)


def test_lists_leave_out_what_is_long(store: JobStore, leases: Leases) -> None:
    job = store.start(JobKind.BUILD, {}).job
    result = {"nodes": {"passed": 2, "failed": 0}, "node_results": [{"node": "a"}, {"node": "b"}]}
    leases.end(claim(leases, job.id), JobState.SUCCEEDED, result=result)
    assert store.page().items[0].result == {"nodes": {"passed": 2, "failed": 0}}
    assert store.get(job.id).result == result


def test_pages_hold_each_job_once(store: JobStore) -> None:
    started = [store.start(JobKind.BUILD, {"select": str(number)}).job.id for number in range(7)]
    seen, cursor = [], None
    while True:
        page = store.page(limit=3, cursor=cursor, kind=JobKind.BUILD)
        seen += [job.id for job in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == started[::-1]
    with pytest.raises(InvalidRequest, match="next_cursor"):
        store.page(cursor="bm9uc2Vuc2U=")


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


def test_many_identical_starts_one_job(store: JobStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = {job.job.id for job in pool.map(lambda _: store.start(JobKind.BUILD, {}, idempotency_key="k"), range(16))}
    assert len(ids) == 1


def test_the_migrations_make_what_the_models_say(operations: OperationsDatabase) -> None:
    config = Config()
    config.set_main_option("script_location", str(REPOSITORY / "shared" / "operations" / "migrations"))
    config.attributes["url"] = operations.engine.url.render_as_string(hide_password=False)
    command.check(config)
