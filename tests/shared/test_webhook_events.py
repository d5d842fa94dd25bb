"""Deliveries that come at the same moment, on both databases: none is lost, none counts twice, none fails."""

import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from services.scoring.adapters.events import Receipt, receive_events
from services.scoring.domain.webhooks import RecordChange, WebhookEvent
from shared.errors import Overloaded
from shared.jobs.refreshes import forget_old_events
from shared.operations.database import OperationsDatabase
from shared.operations.models import ChangedRecord, Generation, Job
from shared.operations.models import WebhookEvent as StoredEvent


def event(event_id: str, account_id: str | None = "hubspot:1") -> WebhookEvent:
    return WebhookEvent(event_id, "account.changed", datetime.now(UTC), account_id)


def deliver_at_once(
    operations: OperationsDatabase, monkeypatch: pytest.MonkeyPatch, events: Sequence[WebhookEvent]
) -> list[Receipt]:
    """One thread each. On PostgreSQL none goes on before all have looked whether their event is known."""
    all_have_looked = threading.Barrier(len(events))
    thread, now = threading.local(), operations.now

    def now_when_all_have_looked(session: Session) -> datetime:
        if not hasattr(thread, "has_looked"):
            thread.has_looked = True
            all_have_looked.wait(20)
        return now(session)

    if operations.engine.dialect.name != "sqlite":  # there a writer is alone from its first look on
        monkeypatch.setattr(operations, "now", now_when_all_have_looked)
    with ThreadPoolExecutor(len(events)) as pool:
        return list(pool.map(lambda one: receive_events(operations, "generic", [one]), events))


def count(operations: OperationsDatabase, table: type[Job] | type[StoredEvent]) -> int:
    with operations.read() as session:
        return session.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def test_one_event_delivered_eight_times_at_once_counts_once(
    operations: OperationsDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipts = deliver_at_once(operations, monkeypatch, [event("evt_1")] * 8)
    assert Counter(one for receipt in receipts for one in receipt.outcomes) == {"accepted": 1, "duplicate": 7}
    assert len({job.id for receipt in receipts for job in receipt.jobs}) == 1
    assert sum(len(receipt.tickets) for receipt in receipts) == 1
    assert (count(operations, StoredEvent), count(operations, Job)) == (1, 1)


def test_eight_events_of_a_new_account_at_once_make_one_job(
    operations: OperationsDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipts = deliver_at_once(operations, monkeypatch, [event(f"evt_{number}") for number in range(8)])
    assert {one for receipt in receipts for one in receipt.outcomes} == {"accepted"}
    assert len({job.id for receipt in receipts for job in receipt.jobs}) == 1
    assert sum(len(receipt.tickets) for receipt in receipts) == 1
    assert (count(operations, StoredEvent), count(operations, Job)) == (8, 1)
    with operations.read() as session:
        assert session.get_one(Generation, ("rescore", "hubspot:1")).requested == 8


def test_two_events_of_a_new_account_each_delivered_four_times_at_once(
    operations: OperationsDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A delivery can meet two conflicts here: over the account's generation, then over its own event."""
    receipts = deliver_at_once(operations, monkeypatch, [event("evt_1"), event("evt_2")] * 4)
    assert Counter(one for receipt in receipts for one in receipt.outcomes) == {"accepted": 2, "duplicate": 6}
    assert (count(operations, StoredEvent), count(operations, Job)) == (2, 1)


def test_an_event_without_an_account_is_stored_once_too(
    operations: OperationsDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipts = deliver_at_once(operations, monkeypatch, [event("evt_1", account_id=None)] * 4)
    assert Counter(one for receipt in receipts for one in receipt.outcomes) == {"ignored": 1, "duplicate": 3}
    assert (count(operations, StoredEvent), count(operations, Job)) == (1, 0)


def change(event_id: str, **records: tuple[str, ...]) -> WebhookEvent:
    changes = tuple(RecordChange("hubspot", name, ids) for name, ids in records.items())
    return WebhookEvent(event_id, "company.merge", datetime(2026, 1, 1, tzinfo=UTC), changes=changes)


def test_a_call_of_a_hundred_events_is_stored_event_by_event_and_asks_for_one_pipeline(
    operations: OperationsDatabase,
) -> None:
    call = [change(f"e{number}", companies=(str(number % 7),)) for number in range(98)]
    call += [change("e3", companies=("3",)), WebhookEvent("odd", "ticket.creation", ignored_for="unknown-object")]
    receipt = receive_events(operations, "hubspot", call)
    assert receipt.counts == {"accepted": 98, "duplicate": 1, "ignored": 1}
    (job,) = receipt.jobs
    assert (job.kind, job.subject, len(receipt.tickets)) == ("pipeline", "hubspot", 1)
    with operations.read() as session:
        stored = session.get_one(StoredEvent, ("hubspot", "e3"))
        assert (stored.object, stored.record_id, stored.job_id) == ("companies", "3", job.id)
        assert stored.occurred_at == datetime(2026, 1, 1, tzinfo=UTC)
        assert session.get_one(StoredEvent, ("hubspot", "odd")).ignored_for == "unknown-object"
        waiting = set(session.execute(sa.select(ChangedRecord.record_id, ChangedRecord.generation)).tuples())
    assert waiting == {(str(number), 1) for number in range(7)}
    again = receive_events(operations, "hubspot", call)
    assert (again.counts, [one.id for one in again.jobs], again.tickets) == ({"duplicate": 100}, [job.id], [])
    other = receive_events(operations, "generic", call[:1])
    assert other.counts == {"accepted": 1}, "another sender's ids are its own"
    assert count(operations, StoredEvent) == 100


def test_a_call_that_could_not_be_stored_whole_was_not_stored_at_all(
    operations: OperationsDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise sa.exc.OperationalError("", {}, Exception("gone"))

    call = [change("e1", companies=("1",)), event("e2")]
    with monkeypatch.context() as broken:
        broken.setattr("services.scoring.adapters.events.request_coalesced", fail)
        with pytest.raises(sa.exc.OperationalError):
            receive_events(operations, "hubspot", call)
    assert (count(operations, StoredEvent), count(operations, Job)) == (0, 0)
    assert receive_events(operations, "hubspot", call).counts == {"accepted": 2}


def test_calls_that_name_the_same_records_in_any_order_do_not_block_each_other(operations: OperationsDatabase) -> None:
    """Locks are taken in one order: events, records of all objects, then the pipeline, then accounts."""

    def send(sender: int) -> None:
        for number in range(8):
            names = ["companies", "contacts", "deals"]
            names = names if (sender + number) % 2 else names[::-1]
            call = [change(f"{sender}-{number}-{name}", **{name: ("3", "1", "2")}) for name in names]
            call += [event(f"{sender}-{number}-{one}", one) for one in (["a", "b"] if sender % 2 else ["b", "a"])]
            call += [change(f"shared-{number}-{step}", deals=("1",)) for step in range(3)][:: 1 if sender % 2 else -1]
            receive_events(operations, "hubspot", call)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(send, range(6)))
    assert count(operations, StoredEvent) == 6 * 8 * 5 + 8 * 3
    assert count(operations, Job) == 3 + 3, "a pipeline with its three children, and a rescore of each account"


def test_events_are_kept_for_as_long_as_anybody_delivers_them_again(operations: OperationsDatabase) -> None:
    receive_events(operations, "generic", [event(f"e{number}") for number in range(3)])
    with operations.write() as session:
        for number, days in ((0, 29), (1, 31)):
            received_at = datetime.now(UTC) - timedelta(days=days)
            named = sa.update(StoredEvent).where(StoredEvent.event_id == f"e{number}")
            session.execute(named.values(received_at=received_at))
    assert (forget_old_events(operations), forget_old_events(operations)) == (1, 0)
    with operations.read() as session:
        assert set(session.scalars(sa.select(StoredEvent.event_id))) == {"e0", "e2"}
    assert count(operations, Job) == 1, "its job stays"


def test_beyond_a_bound_a_delivery_is_refused_as_a_whole(operations: OperationsDatabase) -> None:
    receive_events(operations, "generic", [event("evt_1"), event("evt_2", "hubspot:2")], limit=2)
    with pytest.raises(Overloaded, match="GTM_EVENT_LIMIT"):
        receive_events(operations, "generic", [event("evt_3", "hubspot:3")], limit=2)
    assert (count(operations, StoredEvent), count(operations, Job)) == (2, 2)
    receipt = receive_events(operations, "generic", [event("evt_3", "hubspot:3")], limit=3)
    assert receipt.outcomes == ["accepted"], "its sender's repeat is taken once there is room"


def test_a_rescore_has_the_id_of_the_request_that_asked_for_it(operations: OperationsDatabase) -> None:
    with structlog.contextvars.bound_contextvars(request_id="of-the-sender"):
        job = receive_events(operations, "generic", [event("evt_1")]).jobs[0]
    with operations.read() as session:
        assert session.get_one(Job, job.id).request_id == "of-the-sender"
