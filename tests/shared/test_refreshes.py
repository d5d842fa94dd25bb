"""Change events become one pipeline a burst, and no record that one named is forgotten, on both databases."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from services.scoring.adapters.events import Receipt, receive_events
from services.scoring.domain.webhooks import RecordChange, WebhookEvent
from shared.contracts import JobKind, JobState
from shared.errors import TerminalError
from shared.jobs.context import LeaseLost
from shared.jobs.leases import Claim, Leases
from shared.jobs.refreshes import MOST_RECORDS, settle_records, start_overdue, take_records
from shared.jobs.store import JobStore
from shared.jobs.view import JobView
from shared.operations.database import OperationsDatabase
from shared.operations.models import ChangedRecord, Job
from tests.shared.protocol import claim, expire

DOWN = TerminalError("down", code="crm-token-refused", title="Refused").to_problem()


def change(
    operations: OperationsDatabase, event_id: str, *ids: str, of: str = "companies", delay: float = 0
) -> Receipt:
    event = WebhookEvent(event_id, "record.changed", changes=(RecordChange("hubspot", of, ids),))
    return receive_events(operations, "generic", [event], delay_seconds=delay)


def waiting(operations: OperationsDatabase) -> set[str]:
    with operations.read() as session:
        return set(session.scalars(sa.select(ChangedRecord.record_id)))


def pipelines(store: JobStore) -> list[JobView]:
    return [store.get(job.id) for job in store.page(kind=JobKind.PIPELINE).items]


def land(operations: OperationsDatabase, held: Claim) -> dict[str, list[str]]:
    """What a sync does with its records."""
    taken = take_records(operations, "hubspot", held.job_id, held.fence)
    settle_records(operations, taken, held.job_id, held.fence)
    return taken.by_object


def finish(leases: Leases, store: JobStore, first: Claim) -> Sequence[str]:
    """The sync and the jobs after it succeed; ids of what was to be published at the end."""
    tickets = leases.end(first, JobState.SUCCEEDED, result={})
    for _ in range(2):
        assert tickets is not None
        tickets = leases.end(claim(leases, tickets[0].job_id), JobState.SUCCEEDED, result={})
    assert tickets is not None
    return [ticket.job_id for ticket in tickets]


def test_a_burst_is_one_pipeline_and_what_comes_while_it_runs_one_more(
    operations: OperationsDatabase, store: JobStore, leases: Leases
) -> None:
    receipts = [change(operations, f"a{number}", str(number % 5)) for number in range(50)]
    (burst,) = pipelines(store)
    assert {job.id for receipt in receipts for job in receipt.jobs} == {burst.id}
    assert sum(len(receipt.tickets) for receipt in receipts) == 1
    assert [child.kind for child in burst.children or []] == ["sync", "build", "rescore"]
    assert burst.subject == "hubspot" and burst.request["trigger"] == "change_events"
    sync, build, rescore = burst.children or []
    assert (sync.request["mode"], sync.request["source"]) == ("records", "hubspot")
    assert build.request["load_id"] == rescore.request["load_id"] == sync.id
    held = claim(leases, sync.id)
    assert land(operations, held) == {"companies": ["0", "1", "2", "3", "4"]}
    assert store.get(burst.id).request["records"] == {"companies": 5}, "the pipeline says what it is for"
    for number in range(50):
        assert change(operations, f"b{number}", "9").tickets == []
    following = finish(leases, store, held)
    assert len(pipelines(store)) == 2 and len(following) == 1
    second = claim(leases, following[0])
    assert land(operations, second) == {"companies": ["9"]}
    assert finish(leases, store, second) == [] and waiting(operations) == set()


def test_a_record_that_changes_while_it_is_read_is_read_again(
    operations: OperationsDatabase, store: JobStore, leases: Leases
) -> None:
    change(operations, "a", "1", "2")
    held = claim(leases, (pipelines(store)[0].children or [])[0].id)
    taken = take_records(operations, "hubspot", held.job_id, held.fence)
    change(operations, "b", "2")
    settle_records(operations, taken, held.job_id, held.fence)
    assert waiting(operations) == {"2"}
    (following,) = finish(leases, store, held)
    assert land(operations, claim(leases, following)) == {"companies": ["2"]}


def test_a_lost_worker_leaves_the_records_to_the_next_and_can_no_longer_let_them_go(
    operations: OperationsDatabase, store: JobStore, leases: Leases
) -> None:
    change(operations, "a", "1")
    lost = claim(leases, (pipelines(store)[0].children or [])[0].id)
    taken = take_records(operations, "hubspot", lost.job_id, lost.fence)
    expire(operations, lost.job_id)
    held = claim(leases, lost.job_id)
    with pytest.raises(LeaseLost):
        settle_records(operations, taken, lost.job_id, lost.fence)
    assert land(operations, held) == {"companies": ["1"]} and waiting(operations) == set()


def test_a_pipeline_waits_for_further_events_and_no_worker_takes_it_before(
    operations: OperationsDatabase, store: JobStore, leases: Leases
) -> None:
    assert change(operations, "a", "1", delay=60).tickets == []
    sync = (pipelines(store)[0].children or [])[0].id
    assert leases.claim(sync) == (None, []) and leases.sweep()[0] == []
    with operations.write() as session:
        session.execute(sa.update(Job).values(due_at=datetime.now(UTC) - timedelta(seconds=1)))
    assert [ticket.job_id for ticket in leases.sweep()[0]] == [sync], "the sweeper calls it when it is due"
    assert claim(leases, sync).job_id == sync


def test_records_of_a_failed_or_cancelled_pipeline_are_taken_up_again_after_a_pause(
    operations: OperationsDatabase, store: JobStore, leases: Leases
) -> None:
    change(operations, "a", "1")
    (first,) = pipelines(store)
    held = claim(leases, (first.children or [])[0].id)
    take_records(operations, "hubspot", held.job_id, held.fence)
    assert start_overdue(operations) == [], "one is under way"
    leases.end(held, JobState.FAILED, error=DOWN)
    assert store.get(first.id).state == JobState.FAILED and waiting(operations) == {"1"}
    assert start_overdue(operations) == [], "what it met is mostly there a while longer"
    _age(operations, first.id)
    (ticket,) = start_overdue(operations)
    assert start_overdue(operations) == []
    second = pipelines(store)[0]
    store.cancel(second.id)
    _age(operations, second.id)
    assert len(start_overdue(operations)) == 1 and len(pipelines(store)) == 3
    assert leases.claim(ticket.job_id)[0] is None


def test_an_event_after_a_failure_starts_no_storm_of_failures(
    operations: OperationsDatabase, store: JobStore, leases: Leases
) -> None:
    change(operations, "a", "1")
    held = claim(leases, (pipelines(store)[0].children or [])[0].id)
    change(operations, "b", "2")
    assert leases.end(held, JobState.FAILED, error=DOWN) == [], "one more is owed, but not at once"
    assert len(pipelines(store)) == 2
    sync = (pipelines(store)[0].children or [])[0].id
    assert leases.claim(sync) == (None, [])
    assert change(operations, "c", "3").tickets == [] and len(pipelines(store)) == 2


def test_an_object_that_can_t_be_read_does_not_hold_up_the_others(
    operations: OperationsDatabase, store: JobStore, leases: Leases
) -> None:
    """As one whose scope the token lacks: all were taken at once, and failed at once."""
    change(operations, "a", "1", of="deals")
    change(operations, "b", "2")
    change(operations, "c", "3", of="contacts")
    held = claim(leases, (pipelines(store)[0].children or [])[0].id)
    taken = take_records(operations, "hubspot", held.job_id, held.fence)
    assert taken.counts == {"companies": 1, "contacts": 1, "deals": 1}
    leases.end(held, JobState.FAILED, error=DOWN)
    orders = []
    change(operations, "d", "4")
    following: Sequence[str] = ()
    for _ in range(4):
        _age_all(operations)
        called = following or [ticket.job_id for ticket in (*leases.sweep()[0], *start_overdue(operations))]
        held, following = claim(leases, called[0]), ()
        taken = take_records(operations, "hubspot", held.job_id, held.fence)
        orders.append(taken.by_object)
        if "deals" in taken.counts:
            leases.end(held, JobState.FAILED, error=DOWN)
            continue
        settle_records(operations, taken, held.job_id, held.fence)
        following = finish(leases, store, held)
    assert orders[0] == {"companies": ["4"]}, "what has not failed goes first"
    assert sorted(map(tuple, orders)) == [("companies",), ("companies",), ("contacts",), ("deals",)]
    with operations.read() as session:
        (left,) = session.scalars(sa.select(ChangedRecord)).all()
        assert (left.object, left.attempts) == ("deals", 2), "the attempts of others are not its own"


def test_a_record_that_fails_waits_its_pauses_also_where_others_are_read(
    operations: OperationsDatabase, store: JobStore, leases: Leases
) -> None:
    change(operations, "a", "1", of="deals")
    with operations.write() as session:
        session.execute(sa.update(ChangedRecord).values(attempts=3))  # due 2 + 4 + 8 minutes after its event
    change(operations, "b", "2")
    held = claim(leases, (pipelines(store)[0].children or [])[0].id)
    assert land(operations, held) == {"companies": ["2"]} and finish(leases, store, held) == []
    for minutes, is_due in ((0, False), (13, False), (15, True)):
        with operations.write() as session:
            event = datetime.now(UTC) - timedelta(minutes=minutes)
            session.execute(sa.update(ChangedRecord).values(changed_at=event))
        assert bool(start_overdue(operations)) == is_due


def test_more_records_than_one_sync_reads_are_owed_one_more(
    operations: OperationsDatabase, store: JobStore, leases: Leases
) -> None:
    for start in range(0, MOST_RECORDS + 1, 1000):
        change(operations, f"e{start}", *map(str, range(start, min(start + 1000, MOST_RECORDS + 1))))
    held = claim(leases, (pipelines(store)[0].children or [])[0].id)
    assert len(land(operations, held)["companies"]) == MOST_RECORDS
    (following,) = finish(leases, store, held)
    assert len(land(operations, claim(leases, following))["companies"]) == 1


def test_events_from_many_senders_at_once_lose_no_record(operations: OperationsDatabase, store: JobStore) -> None:
    def send(number: int) -> None:
        change(operations, f"e{number}", *(str((number + step) % 20) for step in range(12)))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(send, range(60)))
    assert waiting(operations) == {str(number) for number in range(20)}
    assert len(pipelines(store)) == 1


def test_records_are_read_as_the_last_sync_was_told(operations: OperationsDatabase, store: JobStore) -> None:
    """A refresh that kept fields by another rule would change rows back and forth."""
    options = {"properties": {"companies": ["name"]}, "objects": ["companies"], "since": "2026-01-01T00:00:00Z"}
    last = {"source": "hubspot", "mode": "full", "options": options, "on_schema_change": "freeze"}
    store.start(JobKind.SYNC, last)
    store.start(JobKind.SYNC, {"source": "salesforce", "mode": "full", "options": {"x": 1}})
    for number in range(2):
        change(operations, f"e{number}", "1")
        (burst, *_) = pipelines(store)
        request = (burst.children or [])[0].request
        assert request["on_schema_change"] == "freeze"
        assert request["options"] == {"properties": {"companies": ["name"]}}
        store.cancel(burst.id)


def _age(operations: OperationsDatabase, job_id: str) -> None:
    with operations.write() as session:
        long_ago = datetime.now(UTC) - timedelta(hours=7)
        session.execute(sa.update(Job).where(Job.id == job_id).values(finished_at=long_ago))


def _age_all(operations: OperationsDatabase) -> None:
    """Whatever waits for a moment is due."""
    long_ago = datetime.now(UTC) - timedelta(hours=7)
    with operations.write() as session:
        session.execute(sa.update(Job).where(Job.finished_at.is_not(None)).values(finished_at=long_ago))
        session.execute(sa.update(Job).where(Job.due_at.is_not(None)).values(due_at=long_ago))
