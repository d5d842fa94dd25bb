"""At most one waiting job per account; what comes while one runs is answered by one more."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import sqlalchemy as sa

from shared.contracts import JobKind, JobState
from shared.jobs import transitions
from shared.jobs.leases import Leases
from shared.jobs.store import JobStore
from shared.jobs.transitions import request_coalesced
from shared.operations.database import OperationsDatabase
from shared.operations.models import Generation, Job, WebhookEvent
from tests.shared.protocol import claim


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


def test_a_count_that_was_read_before_its_lock_is_read_again(operations: OperationsDatabase) -> None:
    with operations.write() as session:
        request_coalesced(session, JobKind.PIPELINE, "hubspot", {"source": "hubspot"}, datetime.now(UTC))
    with operations.write() as session:
        generation = session.get_one(Generation, (JobKind.PIPELINE, "hubspot"))
        before = generation.requested
        event = sa.update(Generation).values(requested=Generation.requested + 1)  # another's, in between
        session.execute(event.execution_options(synchronize_session=False))
        request_coalesced(session, JobKind.PIPELINE, "hubspot", {"source": "hubspot"}, datetime.now(UTC))
        assert generation.requested == before + 2


def test_events_and_workers_do_not_wait_for_each_other(
    store: JobStore, leases: Leases, operations: OperationsDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL a reference to a job needs a lock on its row; with a stronger one of ours both would deadlock."""
    monkeypatch.setattr(transitions, "PAUSE_BETWEEN_RESCORES", timedelta(0))
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


def test_a_steady_stream_of_events_is_few_runs_however_short_they_are(
    store: JobStore, leases: Leases, operations: OperationsDatabase
) -> None:
    def ask() -> tuple[str, bool]:
        with operations.write() as session:
            job, ticket = request_coalesced(session, JobKind.RESCORE, "a1", {"account_id": "a1"}, datetime.now(UTC))
            return job.id, ticket is not None

    first, is_due = ask()
    assert is_due, "the first one waits for nothing"
    held = claim(leases, first)
    ask()
    assert leases.end(held, JobState.SUCCEEDED, result={}) == [], "owed, but not at once"
    (second, is_due), others = ask(), {ask()[0] for _ in range(20)}
    assert second != first and not is_due and others == {second} and leases.claim(second) == (None, [])
    with operations.write() as session:
        started_at, due_at = session.get_one(Job, first).started_at, session.get_one(Job, second).due_at
        assert started_at is not None and due_at == started_at + transitions.PAUSE_BETWEEN_RESCORES
        session.get_one(Job, second).due_at = datetime.now(UTC)
    assert [ticket.job_id for ticket in leases.sweep()[0]] == [second]
    assert leases.end(claim(leases, second), JobState.SUCCEEDED, result={}) == []
    third, is_due = ask()
    assert third not in (first, second) and not is_due, "also where nothing was owed"
