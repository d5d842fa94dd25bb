"""A job that Snowflake refuses ends with what a person must mend, or is tried again; never as `internal-error`."""

from collections.abc import Callable, Iterator

import pytest
from celery import Celery

from services.ingest.tasks import _sync
from shared import settings as shared_settings
from shared.contracts import JobKind, SyncRequest
from shared.jobs.runner import run_job
from shared.jobs.store import JobStore
from shared.jobs.view import JobView
from shared.operations.database import OperationsDatabase, operations_database
from shared.warehouse import engine
from tests.emulator import SnowflakeEmulator, new_database

Sync = Callable[[], JobView]


@pytest.fixture
def sync(
    emulator: SnowflakeEmulator, operations: OperationsDatabase, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sync]:
    """A sync of a little mock data over the protocol, by a worker's own code."""
    monkeypatch.setattr(engine, "_warehouses", {})
    for name, value in emulator.environment(new_database()).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GTM_OPERATIONS_URL", operations.engine.url.render_as_string(hide_password=False))
    shared_settings.warehouse_settings.cache_clear()
    shared_settings.operations_settings.cache_clear()
    store = JobStore(operations)

    def run() -> JobView:
        request = SyncRequest(source="mock", options={"accounts": 5, "visits": 20, "seed": 1})
        job = store.start(JobKind.SYNC, request.model_dump()).job
        run_job(Celery("test", broker="memory://"), job.id, _sync)
        return store.get(job.id)

    yield run
    operations_database().dispose()


def test_login_grant_and_lock(sync: Sync, emulator: SnowflakeEmulator) -> None:
    emulator.fail(at="login", code="390144")
    job = sync()
    assert (job.state, (job.error or {})["code"]) == ("failed", "warehouse-login-refused")
    emulator.fail(at="grant", table="RAW.LOADS", times=0)
    job = sync()
    assert (job.state, (job.error or {})["code"]) == ("failed", "warehouse-grant-missing")
    detail = (job.error or {})["detail"]
    assert "Role gtm lacks a privilege on the table" in detail and "gtm doctor" in detail
    emulator.reset()
    emulator.fail(at="statement", match="create table", code="000625")
    job = sync()
    assert (job.state, (job.error or {})["code"]) == ("running", "warehouse-locked")  # handed back to be tried again
