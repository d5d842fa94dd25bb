"""Signs of life that mean something: a sweeper that looks, a job that gets on; and clocks that are put back."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from billiard.exceptions import TimeLimitExceeded
from prometheus_client import generate_latest

from shared import settings
from shared.contracts import JobKind, JobState
from shared.http.health import make_registry
from shared.jobs.leases import Leases
from shared.jobs.liveness import read_stalled, read_sweep_age
from shared.jobs.lost_children import release_job_of_lost_child
from shared.jobs.store import JobStore
from shared.jobs.sweeper import STUCK
from shared.operations.database import OperationsDatabase, operations_database
from shared.operations.models import Job
from tests.conftest import REPOSITORY
from tests.shared.protocol import claim

HOUR = timedelta(hours=1)
LOOK_THAT_HANGS = """
import threading
from shared.jobs import sweeper
sweeper.configure_logging()
sweeper.Sweeper.sweep = lambda self: threading.Event().wait()
sweeper.run(threading.Event(), sweeper.operations_settings().data_dir / "alive", stuck_seconds=0.2)
"""


def age_of_sweep(operations: OperationsDatabase) -> float | None:
    with operations.read() as session:
        return read_sweep_age(session, operations.now(session))


def change(operations: OperationsDatabase, job_id: str, **values: object) -> None:
    with operations.write() as session:
        session.execute(sa.update(Job).where(Job.id == job_id).values(**values))


def test_a_sweep_leaves_its_time(leases: Leases, operations: OperationsDatabase) -> None:
    assert age_of_sweep(operations) is None
    for _ in range(2):
        leases.sweep()
        age = age_of_sweep(operations)
        assert age is not None and 0 <= age < 5


def test_a_sweeper_that_hangs_ends_itself() -> None:
    ended = subprocess.run([sys.executable, "-c", LOOK_THAT_HANGS], cwd=REPOSITORY, capture_output=True, timeout=60)
    assert (ended.returncode, b"sweeper_stuck" in ended.stderr) == (STUCK, True), ended.stderr


def test_a_heartbeat_is_no_progress(
    store: JobStore, leases: Leases, operations: OperationsDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = store.start(JobKind.SCORING, {}).job
    held = claim(leases, job.id)
    an_hour_ago = datetime.now(UTC) - HOUR
    change(operations, job.id, progressed_at=an_hour_ago)
    assert leases.beat(held).is_held
    with operations.read() as session:
        assert read_stalled(session, operations.now(session), 900) == {job.id: ("scoring", an_hour_ago)}
    shown = store.get(job.id)
    assert shown.stalled_since == shown.progress.changed_at == an_hour_ago
    monkeypatch.setenv("GTM_STALL_SECONDS", "7200")
    settings.operations_settings.cache_clear()
    assert store.get(job.id).stalled_since is None
    settings.operations_settings.cache_clear()
    monkeypatch.delenv("GTM_STALL_SECONDS")
    leases.beat(held, {"done": 1}, got_on=True)
    assert store.get(job.id).stalled_since is None
    change(operations, job.id, progressed_at=an_hour_ago)
    leases.end(held, JobState.SUCCEEDED, result={})
    assert store.get(job.id).stalled_since is None, "it has ended"


def test_a_running_job_that_nobody_holds_is_told(
    store: JobStore, leases: Leases, operations: OperationsDatabase
) -> None:
    """Its worker is gone and all others are busy: it is taken up when one is free, which may be in an hour."""
    job = store.start(JobKind.SCORING, {}).job
    claim(leases, job.id)
    long_ago = datetime.now(UTC) - timedelta(minutes=10)
    change(operations, job.id, lease_until=long_ago, worker="elsewhere:1:1:1:1")
    assert store.get(job.id).stalled_since == long_ago
    with operations.read() as session:
        assert read_stalled(session, operations.now(session), 900) == {job.id: ("scoring", long_ago)}
    claim(leases, job.id)
    assert store.get(job.id).stalled_since is None


def test_a_sweeper_that_never_ran_is_late(operations: OperationsDatabase) -> None:
    metrics = generate_latest(make_registry(operations)).decode()
    assert "gtm_sweeper_age_seconds +Inf" in metrics, "an alert above 60 must fire"


def test_a_lease_from_before_the_clock_was_put_back_does_not_hold_a_lost_job_up(
    store: JobStore, leases: Leases, operations: OperationsDatabase
) -> None:
    lost, waits = (store.start(JobKind.SCORING, {}).job for _ in range(2))
    claim(leases, lost.id)
    later = datetime.now(UTC) + timedelta(minutes=10)
    change(operations, lost.id, lease_until=later, dispatched_at=later, worker="elsewhere:1:1:1:1")
    change(operations, waits.id, dispatched_at=later)
    assert {ticket.job_id for ticket in leases.sweep()[0]} == {lost.id, waits.id}
    assert claim(leases, lost.id).attempt == 2


def test_who_is_killed_at_the_time_limit_is_not_told_that_memory_was_short(
    store: JobStore, leases: Leases, operations: OperationsDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GTM_OPERATIONS_URL", operations.engine.url.render_as_string(hide_password=False))
    settings.operations_settings.cache_clear()
    job = store.start(JobKind.SCORING, {}).job
    for _ in range(3):
        claim(leases, job.id)
        release_job_of_lost_child(TimeLimitExceeded(3600), args=[job.id])
        change(operations, job.id, lease_until=datetime.now(UTC) - HOUR)
    assert leases.claim(job.id) == (None, [])
    assert (store.get(job.id).error or {})["code"] == "time-limit"
    operations_database().dispose()


def test_who_was_at_it_is_taken_up_first(store: JobStore, leases: Leases, operations: OperationsDatabase) -> None:
    lost, waits = (store.start(JobKind.SCORING, {}).job for _ in range(2))
    claim(leases, lost.id)
    long_ago = datetime.now(UTC) - HOUR
    change(operations, lost.id, lease_until=long_ago, dispatched_at=long_ago, worker="elsewhere:1:1:1:1")
    change(operations, waits.id, dispatched_at=long_ago)
    assert {ticket.job_id: ticket.is_urgent for ticket in leases.sweep()[0]} == {lost.id: True, waits.id: False}
