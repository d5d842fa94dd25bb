"""Cursors and fields in the operations database: by source, and only by who holds the job."""

from collections.abc import Mapping
from typing import Any

import pytest
import sqlalchemy as sa

from services.ingest.adapters.states import OperationsSourceStates
from services.ingest.domain.sources import Checkpoint
from shared.contracts import JobKind
from shared.errors import TransientError
from shared.jobs.context import LeaseLost
from shared.jobs.leases import Claim, Leases
from shared.jobs.store import JobStore
from shared.operations.database import OperationsDatabase
from shared.settings import OperationsSettings


class Sync:
    """A claimed sync and what it may write."""

    def __init__(self, operations: OperationsDatabase, source: str = "hubspot") -> None:
        self._operations, self._leases = operations, Leases(operations, OperationsSettings())
        self.store = JobStore(operations)
        self.job_id = self.store.start(JobKind.SYNC, {"source": source}).job.id
        self.claim_again()

    def claim_again(self) -> None:
        claimed, _ = self._leases.claim(self.job_id)
        assert claimed is not None
        self.claim: Claim = claimed
        self.states = OperationsSourceStates(self._operations, self.job_id, claimed.fence)

    def hand_back(self) -> None:
        self._leases.hand_back(self.claim, None)


def at(**cursors: Mapping[str, Any]) -> dict[str, Checkpoint]:
    return {stream: Checkpoint(stream, dict(cursor)) for stream, cursor in cursors.items()}


def test_cursors_are_kept_by_source_and_stream_with_the_job_that_stored_them(operations: OperationsDatabase) -> None:
    first, other = Sync(operations), Sync(operations, "salesforce")
    first.states.put_cursors("hubspot", at(contacts={"after": "1"}, deals={"after": "5"}), has_landed=True)
    other.states.put_cursors("salesforce", at(contacts={"after": "9"}), has_landed=True)
    first.states.put_cursors("hubspot", at(contacts={"after": "2"}), has_landed=True)
    assert other.states.read_cursors("hubspot") == {"contacts": {"after": "2"}, "deals": {"after": "5"}}
    assert other.states.read_cursors("hubspot", of_job=first.job_id) == other.states.read_cursors("hubspot")
    assert other.states.read_cursors("hubspot", of_job=other.job_id) == {}
    assert other.states.read_cursors("mock") == {}


def test_who_lost_the_job_moves_nothing(operations: OperationsDatabase) -> None:
    sync = Sync(operations)
    stale = sync.states
    stale.put_cursors("hubspot", at(contacts={"after": "1"}), has_landed=True)
    stale.put_fields("hubspot", {"hubspot_contacts": {"id": "string"}})
    sync.hand_back()
    sync.claim_again()
    for write in (
        lambda: stale.put_cursors("hubspot", at(contacts={"after": "7"}), has_landed=True),
        lambda: stale.put_fields("hubspot", {"hubspot_contacts": {}}),
        lambda: stale.put("hubspot", {"as_of": "never"}),
    ):
        with pytest.raises(LeaseLost):
            write()
    assert sync.states.read_cursors("hubspot") == {"contacts": {"after": "1"}}
    assert sync.states.read_fields("hubspot") == {"hubspot_contacts": {"id": "string"}}
    assert sync.states.get("hubspot") is None


def test_an_outage_of_the_database_is_worth_another_try(operations: OperationsDatabase) -> None:
    sync = Sync(operations)
    with operations.write() as session:
        session.execute(sa.text("alter table source_cursors rename to away"))
    for call in (
        lambda: sync.states.read_cursors("hubspot"),
        lambda: sync.states.put_cursors("hubspot", at(contacts={"at": 1}), has_landed=True),
    ):
        with pytest.raises(TransientError) as caught:
            call()
        assert caught.value.code == "operations-unavailable"


def test_fields_replace_those_of_their_table_alone(operations: OperationsDatabase) -> None:
    sync = Sync(operations)
    sync.states.put_fields(
        "hubspot", {"hubspot_contacts": {"id": "string", "old": None}, "hubspot_deals": {"id": None}}
    )
    sync.states.put_fields("hubspot", {"hubspot_contacts": {"id": "number", "new": "enumeration"}})
    assert sync.states.read_fields("hubspot") == {
        "hubspot_contacts": {"id": "number", "new": "enumeration"},
        "hubspot_deals": {"id": None},
    }
    assert sync.states.read_fields("salesforce") == {}


def test_attempts_count_from_the_last_place_kept(operations: OperationsDatabase) -> None:
    """A load of hours outlives more than three restarts; one that stays where it is does not."""
    sync = Sync(operations)
    for number in range(5):
        sync.states.put_cursors("hubspot", at(contacts={"after": str(number)}), has_landed=True)
        sync.hand_back()
        sync.claim_again()
        assert sync.claim.attempt == 2
    sync.states.put_cursors("hubspot", at(contacts={"after": "4"}), has_landed=True)
    assert sync.store.get(sync.job_id).attempts == 2, "the same place again is no progress"
