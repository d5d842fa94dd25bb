"""What a worker does with one job when things go wrong around it: a database that is away, a stop, a time limit."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from billiard.exceptions import SoftTimeLimitExceeded
from celery import Celery

from shared import settings
from shared.contracts import JobKind, JobState
from shared.errors import TerminalError, TransientError
from shared.jobs.context import JobContext
from shared.jobs.leases import Leases
from shared.jobs.runner import run_job
from shared.jobs.store import JobStore
from shared.jobs.view import JobView
from shared.operations.database import OperationsDatabase, operations_database
from shared.settings import OperationsSettings
from tests.conftest import wait_until

Run = Callable[..., JobView]


@pytest.fixture
def run(operations: OperationsDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Start a job, run it with this work, and give the job."""
    url = operations.engine.url.render_as_string(hide_password=False)
    monkeypatch.setenv("GTM_OPERATIONS_URL", url)
    monkeypatch.setenv("GTM_HEARTBEAT_SECONDS", "0.5")
    settings.operations_settings.cache_clear()
    store = JobStore(operations)

    def run_one(work: Callable[[JobContext], dict[str, Any]], job: JobView | None = None, **options: Any) -> JobView:
        job = job or store.start(JobKind.SCORING, {}).job
        run_job(Celery("test", broker="memory://"), job.id, work, **options)
        return store.get(job.id)

    yield run_one
    operations_database().dispose()  # before the fixture drops the database


def lock_out(operations: OperationsDatabase, seconds: float) -> threading.Thread:
    """Hold SQLite's write lock for longer than a connection waits for it."""
    path = str(operations.engine.url.database)
    is_locked = threading.Event()

    def hold() -> None:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("begin immediate")
        is_locked.set()
        threading.Event().wait(seconds)
        connection.execute("rollback")
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert is_locked.wait(10)
    return thread


def test_a_result_outlives_a_database_that_is_away_for_a_moment(run: Run, operations: OperationsDatabase) -> None:
    if operations.engine.dialect.name != "sqlite":
        pytest.skip("the write lock is SQLite's")
    holders: list[threading.Thread] = []

    def work(job: JobContext) -> dict[str, Any]:
        holders.append(lock_out(operations, 5.8))
        return {"rows": 1}

    job = run(work)
    holders[0].join()
    assert (job.state, job.result, job.attempts) == (JobState.SUCCEEDED, {"rows": 1}, 1)


def test_who_cannot_ask_for_its_fence_writes_nothing_and_is_tried_again(
    run: Run, operations: OperationsDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(job: JobContext) -> dict[str, Any]:
        with monkeypatch.context() as patch:
            patch.setattr(Leases, "beat", _fail)
            job.report("read", 1)  # only progress: goes on
            job.check()
        raise AssertionError("an effect without the fence")

    job = run(work)
    assert (job.state, (job.error or {})["code"]) == (JobState.RUNNING, "operations-unavailable")


def test_a_heartbeat_that_waits_does_not_hold_up_the_end(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    is_waiting, may_go = threading.Event(), threading.Event()
    beat = Leases.beat

    def waits(leases: Leases, *arguments: Any, **named: Any) -> Any:
        if threading.current_thread().name == "heartbeat":
            is_waiting.set()
            assert may_go.wait(10), "the job's end waited for it"
        return beat(leases, *arguments, **named)

    def work(job: JobContext) -> dict[str, Any]:
        assert is_waiting.wait(10)
        return {}

    monkeypatch.setattr(Leases, "beat", waits)
    assert run(work).state == JobState.SUCCEEDED
    assert not may_go.is_set()
    may_go.set()  # too late, the beat is refused by the row
    for thread in threading.enumerate():
        if thread.name == "heartbeat":
            thread.join(10)
    assert _only_job().state == JobState.SUCCEEDED


def test_a_stopped_worker_hands_its_job_back_uncounted(run: Run) -> None:
    def stopped(job: JobContext) -> dict[str, Any]:
        raise SystemExit(0)

    store_job: JobView | None = None
    for _ in range(4):
        with pytest.raises(SystemExit):
            store_job = run(stopped, store_job)
        store_job = store_job or _only_job()
    job = run(lambda job: {}, store_job)
    assert (job.state, job.attempts) == (JobState.SUCCEEDED, 1)


def _only_job() -> JobView:
    return JobStore(operations_database()).page().items[0]


def test_the_time_limit_hands_back_what_got_on_and_ends_what_did_not(run: Run) -> None:
    def no_effect(job: JobContext) -> dict[str, Any]:
        raise SoftTimeLimitExceeded

    def effect(job: JobContext) -> dict[str, Any]:
        job.check()
        raise SoftTimeLimitExceeded

    assert (run(effect).error or {})["code"] == "time-limit"
    resumable = {"is_resumable": lambda request: True}
    job = run(effect, **resumable)
    for _ in range(4):
        job = run(effect, job, **resumable)
    assert (job.state, job.attempts) == (JobState.RUNNING, 0)
    for _ in range(3):
        job = run(no_effect, job, **resumable)
    assert (job.state, (job.error or {})["code"]) == (JobState.FAILED, "time-limit")


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [
        (TransientError("later", code="busy", title="Busy"), JobState.RUNNING, "busy"),
        (TerminalError("never", code="broken", title="Broken"), JobState.FAILED, "broken"),
        (ZeroDivisionError("a bug"), JobState.FAILED, "internal-error"),
    ],
)
def test_what_a_flow_raises_decides(run: Run, error: Exception, state: JobState, code: str) -> None:
    def work(job: JobContext) -> dict[str, Any]:
        raise error

    job = run(work)
    assert (job.state, (job.error or {})["code"]) == (state, code)


def test_a_wrong_setting_of_the_worker_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def work(job: JobContext) -> dict[str, Any]:
        monkeypatch.setenv("GTM_TASK_TIME_LIMIT_SECONDS", "soon")
        settings.QueueSettings()
        return {}

    error = run(work).error or {}
    assert error["code"] == "bad-setting" and "GTM_TASK_TIME_LIMIT_SECONDS=soon" in error["detail"]


def test_the_lease_is_renewed_while_the_flow_works(run: Run, operations: OperationsDatabase) -> None:
    def work(job: JobContext) -> dict[str, Any]:
        first = lease()
        wait_until(lambda: lease() > first, "a heartbeat", seconds=10)
        assert Leases(operations, OperationsSettings()).claim(job.job_id) == (None, [])
        return {}

    def lease() -> str:
        with operations.read() as session:
            return str(session.connection().exec_driver_sql("select lease_until from jobs").scalar_one())

    assert run(work).state == JobState.SUCCEEDED


def _fail(*_: object, **__: object) -> None:
    raise sa.exc.OperationalError("update", {}, Exception("the database is away"))
