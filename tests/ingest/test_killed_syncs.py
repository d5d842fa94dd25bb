"""Syncs of real workers: killed on the way, they go on from their checkpoints; of one source, one runs at a time."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from shared.celery_app import make_celery
from shared.contracts import JobKind, JobState
from shared.jobs.dispatch import publish
from shared.jobs.store import JobStore
from shared.jobs.view import JobView
from shared.operations.database import OperationsDatabase
from shared.operations.migrate import migrate
from shared.operations.models import Job, SourceCursor
from shared.settings import QueueSettings, WarehouseSettings
from shared.warehouse import open_warehouse
from tests.conftest import RedisServer, wait_until
from tests.fakes.toy_crm import Request, ToyCrm
from tests.servers import Server, start_sweeper

pytestmark = pytest.mark.processes

KILLS = int(os.environ.get("SYNC_KILLS", "4"))  # `make sync-kills`: ten
PAGE = 50
PAGES = 4 + 3 * KILLS
SEGMENT_PAGES = 3


class Workers:
    """Redis, a sweeper that looks often, and a Celery worker with two children that knows the toy source."""

    def __init__(self, folder: Path, redis_binary: str) -> None:
        data_dir = folder / "var"
        data_dir.mkdir()
        url = f"sqlite:///{data_dir / 'operations.sqlite3'}"
        migrate(url)
        self.operations = OperationsDatabase(url)
        self.store = JobStore(self.operations)
        self.warehouse = open_warehouse(WarehouseSettings(GTM_DATA_DIR=data_dir))  # type: ignore[call-arg]
        self._redis = RedisServer(redis_binary, folder, "--save", "")
        self._redis.start()
        env = {
            "GTM_DATA_DIR": str(data_dir),
            "GTM_ENV": "local",
            "REDIS_URL": self._redis.url,
            "GTM_SWEEP_SECONDS": "0.2",
            "GTM_REDISPATCH_SECONDS": "0.3",
            "GTM_LEASE_SECONDS": "10",
            "GTM_HEARTBEAT_SECONDS": "0.5",
            "GTM_INGEST_SEGMENT_ROWS": str(SEGMENT_PAGES * PAGE),
        }
        worker = ["celery", "-A", "tests.fakes.toy_source", "worker", "-Q", "ingest", "-c", "2", "-n", "toy@%h"]
        self._servers = [Server("worker", worker, folder, env), start_sweeper(folder, env)]
        self._app = make_celery("test", settings=QueueSettings(REDIS_URL=self._redis.url), is_producer=True)

    def start(self, **options: object) -> str:
        started = self.store.start(JobKind.SYNC, {"source": "toy", "options": options})
        for ticket in started.tickets:
            publish(self._app, ticket)
        return started.job.id

    def kill_holder(self, job_id: str) -> None:
        """SIGKILL the process that holds the job: the kernel forgets it, and nobody says goodbye."""
        with self.operations.read() as session:
            worker = session.get_one(Job, job_id).worker
        assert worker is not None
        os.kill(int(worker.split(":")[3]), signal.SIGKILL)

    def wait(self, job_id: str, state: JobState = JobState.SUCCEEDED) -> JobView:
        ends = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)
        wait_until(lambda: self.store.get(job_id).state in ends, f"{job_id} ends", seconds=150)
        job = self.store.get(job_id)
        assert job.state == state, job
        return job

    def close(self) -> None:
        for server in self._servers:
            server.kill()
        self._app.close()
        self.operations.dispose()
        self._redis.client.close()
        self._redis.stop()


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory, redis_binary: str) -> Iterator[Workers]:
    house = Workers(tmp_path_factory.mktemp("toy"), redis_binary)
    yield house
    house.close()


@pytest.fixture(autouse=True)
def _forgotten(workers: Workers) -> None:
    """Each test reads its source from the start."""
    with workers.operations.write() as session:
        session.execute(sa.delete(SourceCursor))


def test_a_sync_killed_again_and_again_goes_on_and_loses_and_doubles_nothing(
    workers: Workers,
) -> None:
    with ToyCrm(PAGES * PAGE) as crm:
        kills_at = [4 + 3 * number for number in range(KILLS)]  # pages; the last ones are read in peace

        def kill(request: Request) -> None:
            if kills_at and len(set(crm.pages)) >= kills_at[0]:
                kills_at.pop(0)
                workers.kill_holder(job_id)

        crm.on_request = kill
        job_id = workers.start(url=crm.url, page_rows=PAGE)
        job = workers.wait(job_id)
        assert not kills_at, "every kill was made"
        pages = Counter(crm.pages)
    assert len(pages) == PAGES, "no page was left out"
    # A kill costs at most the segment that lands, the one that is read, and the page that was asked for.
    again = sum(pages.values()) - PAGES
    assert 0 < again <= KILLS * (2 * SEGMENT_PAGES + 1), f"{again} pages were read again"
    assert pages["0"] <= 2, "no attempt but the first ones began at the start"
    landed = "select count(*), count(distinct source_record_id), min(load_id), max(load_id) from raw.hubspot_contacts"
    with workers.warehouse.core() as connection:
        assert tuple(connection.execute(sa.text(landed)).one()) == (PAGES * PAGE, PAGES * PAGE, job_id, job_id)
    with workers.operations.read() as session:
        cursor = session.get_one(SourceCursor, ("toy", "records"))
        assert (cursor.cursor, cursor.is_final, cursor.job_id) == ({"after": PAGES * PAGE}, True, job_id)
    assert job.attempts < KILLS, "attempts count from the last kept place"


def test_syncs_of_one_source_run_one_after_the_other_and_another_source_beside_them(workers: Workers) -> None:
    with ToyCrm(20) as crm:
        open_calls, most = 0, 0

        def look(request: Request) -> None:
            nonlocal open_calls, most
            open_calls += 1
            most = max(most, open_calls)
            running = workers.store.page(kind=JobKind.SYNC, state=JobState.RUNNING).items
            assert len(running) == 1
            time.sleep(0.05)  # long enough for the other worker's child to come in between, if it could
            open_calls -= 1

        crm.on_request = look
        for job_id in [workers.start(url=crm.url, page_rows=5) for _ in range(3)]:
            assert workers.wait(job_id).attempts == 1
    assert most == 1
    starts = [page for page in crm.pages if page == "20"]
    assert len(starts) == 2, "the second and third sync went on where the one before had ended"


def test_a_cancel_is_seen_while_the_sync_waits_for_its_rate(workers: Workers) -> None:
    with ToyCrm(1000) as crm:
        job_id = workers.start(url=crm.url, page_rows=1, requests_per_second=1)
        wait_until(lambda: len(crm.pages) >= 2, "the sync reads")
        asked = time.monotonic()
        workers.store.cancel(job_id)
        workers.wait(job_id, JobState.CANCELLED)
        assert time.monotonic() - asked < 5
