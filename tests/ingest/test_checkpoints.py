"""What lands when, and where the next attempt goes on: with a source that says what the test wants."""

import threading
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from services.ingest.adapters import segments
from services.ingest.domain.sources import Checkpoint, Reject, SourceBatch, SourceEvent, SyncRun
from services.ingest.settings import IngestSettings
from shared.errors import TransientError
from shared.jobs.context import JobCancelled, LeaseLost
from shared.warehouse import Warehouse
from tests.conftest import wait_until
from tests.ingest.conftest import MemoryJob, Query, Sync
from tests.ingest.scripted import TABLE, Runs, batch
from tests.source_states import MemoryStates

AWAY = TransientError("not now", code="crm-unavailable", title="The CRM is unavailable")
LANDED = "select cast(source_record_id as integer) from raw.hubspot_contacts order by 1"


def numbers(run: SyncRun, last: int, *, fails_after: int | None = None) -> Iterator[SourceEvent]:
    """A record a page, a checkpoint after each."""
    for number in range(run.cursors.get("numbers", {}).get("at", 0) + 1, last + 1):
        yield batch(number)
        if number == fails_after:
            raise AWAY
        yield Checkpoint("numbers", {"at": number}, is_final=number == last)


@pytest.fixture
def run(warehouse: Warehouse, settings: IngestSettings, states: MemoryStates) -> Runs:
    return Runs(warehouse, settings, states)


def ids(query: Query) -> list[int]:
    return [id_ for (id_,) in query(LANDED)]


def test_a_failed_sync_has_landed_what_came_before_and_the_next_goes_on_there(run: Runs, query: Query) -> None:
    with pytest.raises(TransientError, match="not now"):
        run(lambda one: numbers(one, 4, fails_after=3))
    assert ids(query) == [1, 2] and run.cursor == {"at": 2}
    result = run(lambda one: numbers(one, 4), job=MemoryJob("job-2", {}))
    assert ids(query) == [1, 2, 3, 4] and run.cursor == {"at": 4}
    assert (result["seen"], result["inserted"]) == (2, 2)
    assert run(lambda one: numbers(one, 4), job=MemoryJob("job-3", {}))["seen"] == 0


def test_each_segment_is_a_batch_of_its_own(run: Runs, query: Query) -> None:
    """dbt's incremental models read what carries a pair that they don't have: none may grow later."""
    run(lambda one: numbers(one, 3))
    assert query("select count(distinct loaded_at), count(distinct load_id) from raw.hubspot_contacts") == [(3, 1)]


def test_a_full_sync_begins_anew_but_goes_on_where_it_was_itself(run: Runs, query: Query) -> None:
    run(lambda one: numbers(one, 1))
    with pytest.raises(TransientError):
        run(lambda one: numbers(one, 3, fails_after=2), job=MemoryJob("job-2", {}), mode="full")
    with pytest.raises(TransientError):
        run(lambda one: numbers(one, 3, fails_after=3), job=MemoryJob("job-2", {}), mode="full")
    run(lambda one: numbers(one, 3), job=MemoryJob("job-3", {}), mode="full")
    found = [dict(one.cursors) for one in run.seen]
    assert found == [{}, {}, {"numbers": {"at": 1}}, {}]
    assert ids(query) == [1, 2, 3]


@pytest.mark.parametrize("error", [JobCancelled("job-1"), LeaseLost("job-1")], ids=["cancelled", "lost"])
def test_a_cursor_is_stored_only_after_its_rows(run: Runs, query: Query, error: Exception) -> None:
    with pytest.raises(type(error)):
        run(lambda one: numbers(one, 3), job=MemoryJob("job-1", {}, stops_with=error))
    assert ids(query) == [] and run.cursor == {}


def test_a_sync_that_dies_between_rows_and_cursor_repeats_them_and_changes_nothing(
    run: Runs, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(source: str, checkpoints: object, *, has_landed: bool) -> None:
        raise LeaseLost("job-1")

    with monkeypatch.context() as patch:
        patch.setattr(run.states, "put_cursors", die)
        with pytest.raises(LeaseLost):
            run(lambda one: numbers(one, 3))
    assert ids(query) == [1] and run.cursor == {}
    result = run(lambda one: numbers(one, 3))
    assert ids(query) == [1, 2, 3] and (result["inserted"], result["unchanged"]) == (2, 1)


def test_without_checkpoints_all_lands_or_nothing(run: Runs, query: Query) -> None:
    def fails(one: SyncRun) -> Iterator[SourceEvent]:
        yield batch(1)
        yield batch(2)
        raise AWAY

    with pytest.raises(TransientError):
        run(fails)
    assert ids(query) == []
    run(lambda one: iter([batch(1), batch(2)]))
    assert query("select count(*), count(distinct loaded_at) from raw.hubspot_contacts") == [(2, 1)]


def test_checkpoints_that_come_fast_share_a_segment(run: Runs, query: Query) -> None:
    run._settings = run._settings.model_copy(update={"segment_rows": 3, "segment_seconds": 60})
    run(lambda one: numbers(one, 7))
    assert query("select count(distinct loaded_at) from raw.hubspot_contacts") == [(3,)]
    assert run.cursor == {"at": 7}


def test_a_segment_that_the_source_breaks_off_lands_up_to_its_last_checkpoint(run: Runs, query: Query) -> None:
    run._settings = run._settings.model_copy(update={"segment_rows": 1000, "segment_seconds": 60})
    with pytest.raises(TransientError, match="not now"):
        run(lambda one: numbers(one, 4, fails_after=3))
    assert run.cursor == {"at": 2}
    assert ids(query) == [1, 2]
    result = run(lambda one: numbers(one, 4), job=MemoryJob("job-2", {}))
    assert (result["seen"], result["inserted"]) == (2, 2)


def test_a_slow_source_lands_by_the_clock(run: Runs, query: Query) -> None:
    run._settings = run._settings.model_copy(update={"segment_rows": 1000, "segment_seconds": 0})
    run(lambda one: numbers(one, 3))
    assert query("select count(distinct loaded_at) from raw.hubspot_contacts") == [(3,)]


def test_reading_is_one_segment_ahead_and_no_more(run: Runs, query: Query, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    landing, go_on = threading.Event(), threading.Event()

    def watched(one: SyncRun) -> Iterator[SourceEvent]:
        for event in numbers(one, 3):
            if isinstance(event, SourceBatch):
                read.append(len(read) + 1)
            yield event

    class Slow(MemoryJob):
        def check(self) -> None:
            landing.set()
            go_on.wait(10)

    worker = threading.Thread(target=lambda: run(watched, job=Slow("job-1", {})))
    worker.start()
    assert landing.wait(10)
    wait_until(lambda: read == [1, 2], "the second is read while the first lands")
    assert not worker.join(0.5) and read == [1, 2], "the third waits for room"
    go_on.set()
    worker.join(20)
    assert ids(query) == [1, 2, 3]


def test_who_cancels_need_not_wait_for_the_crm(run: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source may be waiting for its rate, or for a CRM's Retry-After of minutes."""
    is_waiting, has_stopped = threading.Event(), threading.Event()

    def waits(one: SyncRun) -> Iterator[SourceEvent]:
        yield batch(1)
        is_waiting.set()
        try:
            one.pause(600)
        finally:
            has_stopped.set()

    class Cancelled(MemoryJob):
        def report(self, phase: str, done: int, total: int | None = None, unit: str = "rows") -> None:
            if is_waiting.is_set():
                raise JobCancelled(self.job_id)

    with pytest.raises(JobCancelled):
        run(waits, job=Cancelled("job-1", {}))
    assert has_stopped.is_set(), "the reading thread has ended as well"
    assert not [one for one in threading.enumerate() if one.name == "reading"]


def test_a_reading_that_ends_early_closes_what_it_holds(run: Runs) -> None:
    is_closed = threading.Event()

    def holds(one: SyncRun) -> Iterator[SourceEvent]:
        try:
            yield from numbers(one, 5)
        finally:
            is_closed.set()

    readings: list[Iterator[SourceEvent]] = []  # held here, so that nobody but the reader closes them

    def keep(one: SyncRun) -> Iterator[SourceEvent]:
        readings.append(holds(one))
        return readings[0]

    with pytest.raises(LeaseLost):
        run(keep, job=MemoryJob("job-1", {}, stops_with=LeaseLost("job-1")))
    assert is_closed.is_set()


def test_progress_and_first_rejects_run_over_the_segments(run: Runs) -> None:
    def two_tables(one: SyncRun) -> Iterator[SourceEvent]:
        for number in range(1, 8):
            bad = Reject("contacts", 0, f"reason {number}", "{}")
            yield batch(number, rejects=(bad,))
            yield Checkpoint("contacts", {"at": number})
        yield batch(1, table="hubspot_companies")

    job = MemoryJob("job-1", {})
    run._settings = run._settings.model_copy(update={"segment_rows": 5})
    result = run(two_tables, job=job)
    assert [one["reason"] for one in result["first_rejects"]] == [f"reason {number}" for number in range(1, 6)]
    assert result["tables"][TABLE]["seen"] == 14 and result["tables"]["hubspot_companies"]["seen"] == 1
    assert {done for phase, done in job.reported if phase == TABLE} <= {*range(2, 15, 2)}
    phases = [phase for phase, _ in job.reported]
    assert phases.count("merge") == 2 and phases[-2:] == ["merge", "merge"], "while it reads, the reading is the phase"


def test_the_result_counts_what_all_attempts_have_landed(run: Runs) -> None:
    with pytest.raises(TransientError):
        run(lambda one: numbers(one, 3, fails_after=3))
    result = run(lambda one: numbers(one, 3))
    assert (result["seen"], result["inserted"], result["unchanged"], result["changed"]) == (3, 3, 0, 3)
    assert result["tables"][TABLE]["inserted"] == 3
    assert result["notes"] == []


def test_a_raw_that_was_emptied_or_restored_is_filled_again(run: Runs, query: Query, warehouse: Warehouse) -> None:
    """Cursors beyond rows that RAW doesn't have would leave them out for ever."""
    run(lambda one: numbers(one, 1))
    run(lambda one: iter([Checkpoint("numbers", {"at": 1})]), job=MemoryJob("job-2", {}))  # nothing new landed
    run(lambda one: numbers(one, 2), job=MemoryJob("job-3", {}))
    with warehouse.core(write=True) as connection:  # as of job-2
        connection.execute(sa.text("delete from raw.hubspot_contacts where load_id = 'job-3'"))
        connection.execute(sa.text("delete from raw.loads where load_id = 'job-3'"))
    result = run(lambda one: numbers(one, 2), job=MemoryJob("job-4", {}))
    assert ids(query) == [1, 2]
    assert "RAW knows nothing of load job-3" in result["notes"][0] and result["unchanged"] == 1
    assert run(lambda one: numbers(one, 2), job=MemoryJob("job-5", {}))["notes"] == []


def test_of_a_raw_that_was_emptied_only_the_streams_that_rested_on_it_begin_anew(
    run: Runs, warehouse: Warehouse
) -> None:
    def old(one: SyncRun) -> Iterator[SourceEvent]:
        yield batch(9)
        yield Checkpoint("window", {"at": 9}, is_final=True)

    run(old)
    with warehouse.core(write=True) as connection:
        connection.execute(sa.text("delete from raw.loads"))
    result = run(lambda one: numbers(one, 2), job=MemoryJob("job-2", {}))
    assert "window" in result["notes"][0]
    for number in (3, 4):  # a stream that nobody reads any more is no reason to begin anew for ever
        again = run(lambda one: numbers(one, 2), job=MemoryJob(f"job-{number}", {}))
        assert (again["seen"], again["notes"]) == (0, [])


def test_an_empty_source_is_told_where_it_should_not_be_empty(run: Runs) -> None:
    (note,) = run(lambda one: iter([Checkpoint("numbers", {"at": 0})]))["notes"]
    assert "scripted gave not a single row" in note and "credentials" in note
    assert run(lambda one: iter([Checkpoint("numbers", {"at": 0})]))["notes"] == [], "nothing new is no news"


def test_notes_of_a_source_are_told_once(run: Runs) -> None:
    def notes(one: SyncRun) -> Iterator[SourceEvent]:
        for _ in range(3):
            one.note("The clock is late.")
        yield batch(1)

    assert run(notes)["notes"] == ["The clock is late."]


def test_an_error_of_ours_in_the_reading_thread_is_raised_as_it_is(run: Runs) -> None:
    def broken(one: SyncRun) -> Iterator[SourceEvent]:
        yield batch(1)
        raise KeyError("properties")

    with pytest.raises(KeyError, match="properties"):
        run(broken)


def test_the_spool_of_a_reading_that_hangs_is_left_to_its_thread(run: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call to a CRM can't be broken off: the worker does not wait for it."""
    monkeypatch.setattr(segments, "_FAREWELL_SECONDS", 0.05)
    go_on = threading.Event()

    def hangs(one: SyncRun) -> Iterator[SourceEvent]:
        yield batch(1)
        yield Checkpoint("numbers", {"at": 1})
        go_on.wait(20)
        yield batch(2)

    with pytest.raises(LeaseLost):
        run(hangs, job=MemoryJob("job-1", {}, stops_with=LeaseLost("job-1")))
    go_on.set()
    wait_until(lambda: not [one for one in threading.enumerate() if one.name == "reading"], "the thread has ended")


def test_mock_and_files_give_what_they_gave(sync: Sync) -> None:
    result = sync("mock", {"accounts": 20, "visits": 50})
    assert (result["schema_changes"], result["notes"]) == ([], [])
