"""Refused calls and uses of keys: written once each, however many there are, and whoever is away meanwhile."""

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from shared.access.audit import AuditEvent, read_entries, verify_chain
from shared.access.callers import COMMAND_LINE, Caller
from shared.access.key_store import KeyStore
from shared.access.recorder import MOST_WINDOWS, WINDOW_SECONDS, AccessRecorder
from shared.operations.database import OperationsDatabase
from tests.conftest import wait_until


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recorder(operations: OperationsDatabase, clock: Clock) -> AccessRecorder:
    """Not entered: the test says when it writes."""
    return AccessRecorder(operations, clock=clock)


def refusal(address: str = "192.0.2.1", code: str = "unauthorised", target: str = "/v1/jobs") -> AuditEvent:
    return AuditEvent("call.refused", Caller("anonymous", address=address), target, 401, "r1", detail={"code": code})


def rows(database: OperationsDatabase) -> list[tuple[Any, ...]]:
    """The oldest first: address, code, route, number."""
    log = reversed(read_entries(database, limit=1000))
    return [(entry["address"], entry["detail"]["code"], entry["target"], entry["count"]) for entry in log]


def test_the_first_refusal_is_written_at_once_and_a_minute_of_others_is_one_row(
    operations: OperationsDatabase, recorder: AccessRecorder, clock: Clock
) -> None:
    recorder.note_refusal(refusal())
    recorder.write_due()
    first = ("192.0.2.1", "unauthorised", "/v1/jobs", 1)
    assert rows(operations) == [first]
    for _ in range(500):
        recorder.note_refusal(refusal())
    clock.now += WINDOW_SECONDS - 1
    recorder.write_due()
    assert rows(operations) == [first]
    clock.now += 1
    recorder.write_due()
    assert rows(operations) == [first, ("192.0.2.1", "unauthorised", None, 500)]
    recorder.note_refusal(refusal())  # the next minute begins anew
    recorder.write_due()
    assert rows(operations)[2:] == [first]


def test_each_key_that_is_tried_has_its_own_row(operations: OperationsDatabase, recorder: AccessRecorder) -> None:
    for number in range(2 * MOST_WINDOWS):
        event = refusal()
        recorder.note_refusal(replace(event, caller=replace(event.caller, key_id=f"key{number:09}")))
    recorder.write_due(is_last=True)
    log = read_entries(operations, limit=1000)
    assert len(log) == MOST_WINDOWS + 1 and sum(entry["count"] for entry in log) == 2 * MOST_WINDOWS
    assert {entry["key_id"] for entry in log} == {f"key{number:09}" for number in range(MOST_WINDOWS)} | {None}


def test_a_flood_from_everywhere_costs_a_bounded_number_of_rows_and_loses_no_call(
    operations: OperationsDatabase, recorder: AccessRecorder, clock: Clock
) -> None:
    calls = 0
    for minute in range(3):
        for number in range(400):
            recorder.note_refusal(refusal(f"198.51.{minute}.{number % 200}"))
            calls += 1
            if number % 100 == 0:
                recorder.write_due()
        clock.now += WINDOW_SECONDS
        recorder.write_due()
    written = rows(operations)
    assert len(written) <= 3 * 2 * (MOST_WINDOWS + 1)
    assert sum(row[3] for row in written) == calls
    assert {row[0] for row in written} > {None, "198.51.0.0"}


def test_what_can_not_be_written_stays_owed(
    operations: OperationsDatabase, recorder: AccessRecorder, clock: Clock
) -> None:
    key_id = KeyStore(operations).create("sync", ["run"], caller=COMMAND_LINE).stored.key_id

    def cut(*_: object) -> None:
        raise sa.exc.OperationalError("insert", {}, ConnectionError("away"))

    sa.event.listen(operations.engine, "before_cursor_execute", cut)
    recorder.note_use(key_id)
    recorder.note_refusal(refusal())
    recorder.note_refusal(refusal(code="scope-missing"))
    recorder.write_due()
    recorder.note_refusal(refusal())
    sa.event.remove(operations.engine, "before_cursor_execute", cut)
    recorder.write_due()
    recorder.write_due(is_last=True)
    refused = [row for row in read_entries(operations, limit=9) if row["action"] == "call.refused"]
    assert sorted((row["detail"]["code"], row["count"]) for row in refused) == [
        ("scope-missing", 1),
        ("unauthorised", 2),
    ]
    assert KeyStore(operations).read_all()[0].last_used_at is not None


@pytest.mark.parametrize(
    "poison",
    [
        {"target": "\ud800"},  # half of a character: not SQLAlchemy's error, but the driver's or Python's
        {"address": f"fe80::1%{'a' * 100}"},  # longer than PostgreSQL's column
    ],
    ids=["target", "address"],
)
def test_a_refusal_that_can_not_be_written_keeps_no_other_out_and_is_counted(
    operations: OperationsDatabase, recorder: AccessRecorder, poison: dict[str, str]
) -> None:
    recorder.note_refusal(refusal(**poison))
    recorder.note_refusal(refusal("10.0.0.1"))
    recorder.write_due()
    recorder.note_refusal(refusal("10.0.0.2"))
    recorder.write_due()
    recorder.write_due(is_last=True)
    written = rows(operations)
    assert [row[0] for row in written[1:]] == ["10.0.0.1", "10.0.0.2"]
    assert sum(row[3] for row in written) == 3
    assert written[0] in {(None, "unauthorised", None, 1), (poison.get("address"), "unauthorised", "/v1/jobs", 1)}
    assert verify_chain(operations).is_whole


def test_while_no_row_can_be_written_all_stays_owed(
    operations: OperationsDatabase, recorder: AccessRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("shared.access.recorder.append_entry", lambda *_: 1 / 0)
        recorder.note_refusal(refusal())
        recorder.note_refusal(refusal("10.0.0.1"))
        recorder.write_due()
        recorder.note_refusal(refusal())
    recorder.write_due(is_last=True)
    assert sorted((row[0], row[3]) for row in rows(operations)) == [("10.0.0.1", 1), ("192.0.2.1", 2)]


def test_a_refusal_that_comes_while_others_are_written_is_counted(
    operations: OperationsDatabase, recorder: AccessRecorder, clock: Clock
) -> None:
    def one_more(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.lower().startswith("insert into audit_log"):
            recorder.note_refusal(refusal())

    recorder.note_refusal(refusal())
    sa.event.listen(operations.engine, "before_cursor_execute", one_more)
    recorder.write_due()
    sa.event.remove(operations.engine, "before_cursor_execute", one_more)
    clock.now += WINDOW_SECONDS
    recorder.write_due()
    assert [row[3] for row in rows(operations)] == [1, 1]


def test_a_use_is_stored_once_a_minute(operations: OperationsDatabase, recorder: AccessRecorder, clock: Clock) -> None:
    keys = KeyStore(operations)
    key_id = keys.create("sync", ["run"], caller=COMMAND_LINE).stored.key_id
    writes: list[str] = []
    sa.event.listen(operations.engine, "before_cursor_execute", lambda *event: writes.append(event[2]))
    for seconds in (0, 1, 58.9, 0.1, 30):
        clock.now += seconds
        recorder.note_use(key_id)
        recorder.write_due()
    assert sum(statement.lower().startswith("update api_keys") for statement in writes) == 2
    assert keys.read_all()[0].last_used_at is not None


def test_while_it_serves_a_thread_writes_and_the_end_leaves_nothing_owed(operations: OperationsDatabase) -> None:
    with AccessRecorder(operations) as recorder:
        recorder.note_refusal(refusal())
        wait_until(lambda: rows(operations), "the first refusal is written")
        recorder.note_refusal(refusal())
    assert [row[3] for row in rows(operations)] == [1, 1]
    assert verify_chain(operations).is_whole
