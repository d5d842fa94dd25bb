"""Deliveries that come at the same moment, on both databases: none is lost, none counts twice, none fails."""

import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.scoring.adapters.events import Receipt, receive_events
from services.scoring.domain.webhooks import WebhookEvent
from shared.operations.database import OperationsDatabase
from shared.operations.models import Generation, Job
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
