"""The audit log: one chain whoever writes, nothing without its effect, and every change shows."""

import multiprocessing
from typing import Any

import pytest
import sqlalchemy as sa

from shared.access.audit import GENESIS, AuditEvent, append_entry, read_entries, verify_chain
from shared.access.callers import COMMAND_LINE, Caller
from shared.contracts import JobKind
from shared.errors import InvalidRequest
from shared.jobs.store import JobStore
from shared.operations.database import OperationsDatabase
from tests.shared.protocol import PIPELINE

SOMEBODY = Caller("nightly", frozenset({"run"}), "k7x2mq4znb3a", "192.0.2.7")
WRITERS, ROWS = 4, 25


def append(database: OperationsDatabase, action: str, **values: Any) -> None:
    with database.write() as session:
        append_entry(database, session, AuditEvent(action, COMMAND_LINE, **values))


def tamper(database: OperationsDatabase, *statements: str) -> None:
    """As the database's owner can: without the triggers."""
    off = {
        "sqlite": ("drop trigger audit_log_no_update", "drop trigger audit_log_no_delete"),
        "postgresql": ("alter table audit_log disable trigger user",),
    }
    with database.write() as session:
        for statement in (*off[database.engine.dialect.name], *statements):
            session.execute(sa.text(statement))


def _write_rows(url: str, writer: int) -> None:
    database = OperationsDatabase(url)
    for row in range(ROWS):
        append(database, "test", target=f"{writer}-{row}")
    database.dispose()


def test_writers_in_several_processes_make_one_chain(operations: OperationsDatabase) -> None:
    url = operations.engine.url.render_as_string(hide_password=False)
    operations.dispose()  # a connection does not survive a fork
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write_rows, args=(url, number)) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0] * WRITERS
    report = verify_chain(operations)
    assert (report.count, report.broken_at) == (WRITERS * ROWS, None)
    log = read_entries(operations, limit=1000)
    assert {entry["target"] for entry in log} == {f"{one}-{row}" for one in range(WRITERS) for row in range(ROWS)}


_PUT_IN = (
    "insert into audit_log (seq, at, actor, action, count, detail, prev_hash, hash) "
    "select 5, at, actor, action, count, detail, hash, hash from audit_log where seq = 4"
)
_TAMPERED = (  # what is done to four rows, the row that is named, and why
    ("update audit_log set actor = 'nobody' where seq = 2", 2, "changed"),
    ("update audit_log set detail = '{}' where seq = 2", 2, "changed"),
    ("update audit_log set at = '2020-01-01 00:00:00' where seq = 3", 3, "changed"),
    ("update audit_log set count = 2 where seq = 3", 3, "changed"),
    ("update audit_log set detail = '17' where seq = 4", 4, "changed"),
    ("update audit_log set prev_hash = hash where seq = 3", 3, "does not follow"),
    ("delete from audit_log where seq = 2", 3, "row 2 is missing"),
    ("delete from audit_log where seq = 1", 2, "row 1 is missing"),
    (_PUT_IN, 5, "changed"),
)


def test_the_first_row_that_was_tampered_with_is_named(operations: OperationsDatabase) -> None:
    tamper(operations)
    for statement, broken_at, fault in _TAMPERED:
        for number in range(4):
            append(operations, "test", target=str(number), detail={"number": number})
        assert verify_chain(operations).is_whole
        with operations.write() as session:
            session.execute(sa.text(statement))
        report = verify_chain(operations)
        assert (report.broken_at, report.count, report.is_whole) == (broken_at, *_before(broken_at, fault), False)
        assert fault in str(report.fault)
        with operations.write() as session:
            session.execute(sa.text("delete from audit_log"))


def _before(broken_at: int, fault: str) -> tuple[int]:
    """Whole rows before the one that is named."""
    return (broken_at - 2 if "missing" in fault else broken_at - 1,)


def test_rows_cut_off_show_beside_a_hash_that_was_kept_elsewhere(operations: OperationsDatabase) -> None:
    assert verify_chain(operations).head == GENESIS
    for number in range(3):
        append(operations, "test", target=str(number))
    kept = verify_chain(operations).head
    append(operations, "test")
    assert verify_chain(operations, expected=kept).is_whole
    tamper(operations, "delete from audit_log where seq > 2")
    report = verify_chain(operations, expected=kept)
    assert (report.broken_at, report.has_expected, report.is_whole) == (None, False, False)
    assert verify_chain(operations).is_whole  # by itself it can't know


@pytest.mark.parametrize("kept", ["", " ", "null", "0" * 63, "g" * 64, GENESIS + "0"])
def test_what_is_no_hash_is_not_taken_for_nothing_expected(operations: OperationsDatabase, kept: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        verify_chain(operations, expected=kept)
    assert refused.value.code == "audit-hash-invalid"


def test_a_hash_may_be_in_capitals_and_have_a_line_end(operations: OperationsDatabase) -> None:
    append(operations, "test")
    head = verify_chain(operations).head
    assert verify_chain(operations, expected=f"{head.upper()}\n").has_expected is True
    assert verify_chain(operations, expected="f" * 64).is_whole is False


def test_a_row_that_can_not_even_be_read_is_named(operations: OperationsDatabase) -> None:
    if operations.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL takes only JSON into a column of JSON")
    for number in range(4):
        append(operations, "test", target=str(number))
    tamper(operations, "update audit_log set detail = '{' where seq = 3")
    report = verify_chain(operations)
    assert (report.broken_at, report.count) == (3, 2)


@pytest.mark.parametrize(
    "statement", ["update audit_log set actor = 'x'", "delete from audit_log", "truncate audit_log"]
)
def test_the_database_refuses_changes(operations: OperationsDatabase, statement: str) -> None:
    append(operations, "test")
    if "truncate" in statement and operations.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no truncate")
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), operations.write() as session:
        session.execute(sa.text(statement))
    assert verify_chain(operations).count == 1


def test_what_did_not_happen_is_not_in_it(operations: OperationsDatabase) -> None:
    with pytest.raises(ZeroDivisionError), operations.write() as session:
        append_entry(operations, session, AuditEvent("test", COMMAND_LINE))
        raise ZeroDivisionError
    assert verify_chain(operations).count == 0


def test_who_starts_and_who_cancels_a_job_is_in_it_once(operations: OperationsDatabase) -> None:
    store = JobStore(operations)

    def start() -> str:
        started = store.start(JobKind.PIPELINE, PIPELINE, idempotency_key="one", request_id="r1", actor=SOMEBODY)
        return started.job.id

    job_id = start()
    assert start() == job_id
    for _ in range(2):
        store.cancel(job_id, request_id="r2", actor=SOMEBODY)
    columns = ("action", "target", "actor", "key_id", "address", "status", "request_id", "detail")
    assert [tuple(entry[name] for name in columns) for entry in reversed(read_entries(operations, limit=9))] == [
        ("job.start", job_id, "nightly", "k7x2mq4znb3a", "192.0.2.7", 202, "r1", {"kind": "pipeline"}),
        ("job.cancel", job_id, "nightly", "k7x2mq4znb3a", "192.0.2.7", 200, "r2", {"kind": "pipeline"}),
    ]


def test_a_start_that_can_not_be_recorded_does_not_happen(
    operations: OperationsDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = JobStore(operations)

    def refuse(*_: object) -> None:
        raise sa.exc.OperationalError("insert", {}, OSError())

    monkeypatch.setattr("shared.jobs.store.append_entry", refuse)
    with pytest.raises(sa.exc.OperationalError):
        store.start(JobKind.SCORING, {"limit": 1}, actor=SOMEBODY)
    assert store.page().items == []
