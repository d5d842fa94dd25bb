"""What a benchmark of a CRM's sync runs in: a real Redis, a sweeper and one ingest worker with one child, and the fake
CRM in a process of its own.
"""

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any, Self

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
from tests.conftest import RedisServer
from tests.servers import Server, start_sweeper, start_worker

_ENDS = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)
_LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class FakeCrm:
    """A CRM to measure. `serve(records, rate, port, requests, refused)` runs in a process of its own until it is ended,
    refuses what is over `rate` (requests, seconds), writes its port, and counts requests and refusals.
    """

    source: str
    serve: Callable[..., None]
    to_env: Callable[[str, tuple[int, float]], dict[str, str]]
    """The ingest worker's settings for the fake at this address with this budget."""
    small: dict[str, Any]
    """Options of a sync that reads next to nothing."""
    count_sql: str
    """Rows and distinct keys of all records, as RAW holds them: `select <rows>, <keys>`."""
    is_bound_by_rate: bool = True
    """Its requests take longer than all else. False where a few bring everything: a ratio says nothing then."""


class RunningCrm:
    """The fake's process."""

    def __init__(self, crm: FakeCrm, records: int, rate: tuple[int, float]) -> None:
        context = multiprocessing.get_context("spawn")
        self._port: Synchronized[int] = context.Value("i", 0)
        self._requests: Synchronized[int] = context.Value("i", 0)
        self._refused: Synchronized[int] = context.Value("i", 0)
        arguments = (records, rate, self._port, self._requests, self._refused)
        self._process = context.Process(target=crm.serve, args=arguments, daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        while not self._port.value:
            if not self._process.is_alive():
                raise RuntimeError("the fake CRM did not start")
            time.sleep(_LOOK_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port.value}"

    @property
    def requests(self) -> int:
        """That came, those refused for their rate included."""
        return self._requests.value

    @property
    def refused(self) -> int:
        """429s."""
        return self._refused.value


class CrmHouse:
    """The processes of this house; `with` ends them."""

    def __init__(self, folder: Path, redis_binary: str, env: dict[str, str]) -> None:
        data_dir = folder / "var"
        data_dir.mkdir(parents=True)
        url = f"sqlite:///{data_dir / 'operations.sqlite3'}"
        migrate(url)
        self._operations = OperationsDatabase(url)
        self._store = JobStore(self._operations)
        self._warehouse = open_warehouse(WarehouseSettings(GTM_DATA_DIR=data_dir))  # type: ignore[call-arg]
        self._redis = RedisServer(redis_binary, folder, "--save", "")
        self._redis.start()
        house = {
            "GTM_DATA_DIR": str(data_dir),
            "GTM_ENV": "local",
            "REDIS_URL": self._redis.url,
            "GTM_SWEEP_SECONDS": "0.2",
            "GTM_REDISPATCH_SECONDS": "0.5",
            "GTM_HEARTBEAT_SECONDS": "0.5",
            "GTM_LOG_LEVEL": "WARNING",
        }
        servers = (start_worker("ingest", "ingest", folder, house | env), start_sweeper(folder, house | env))
        self._servers: list[Server] = list(servers)
        self._app = make_celery("bench", settings=QueueSettings(REDIS_URL=self._redis.url), is_producer=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.kill()
        self._app.close()
        self._operations.dispose()
        self._redis.client.close()
        self._redis.stop()

    def sync(self, source: str, options: dict[str, Any], on_look: Callable[[str], None] = lambda job: None) -> JobView:
        """Start one and wait for its end. `on_look` is called with the job's id many times a second.

        Raises:
            RuntimeError: it did not succeed, or a process of the house has ended.
        """
        started = self._store.start(JobKind.SYNC, {"source": source, "options": options})
        for ticket in started.tickets:
            publish(self._app, ticket)
        job = self._store.get(started.job.id)
        while job.state not in _ENDS:
            on_look(job.id)
            self._check_servers()
            time.sleep(_LOOK_SECONDS)
            job = self._store.get(job.id)
        if job.state != JobState.SUCCEEDED:
            raise RuntimeError(f"the sync {job.state}: {job.error}")
        return job

    def _check_servers(self) -> None:
        for server in self._servers:
            if server.process.poll() is not None:
                raise RuntimeError(f"{server.log_path.stem} has ended:\n{server.log()[-2000:]}")

    def kill_holder(self, job_id: str) -> bool:
        """SIGKILL the process that holds the job. False: nobody does just now."""
        with self._operations.read() as session:
            job = session.get_one(Job, job_id)
            worker = job.worker if job.state == JobState.RUNNING else None
        if worker is None:
            return False
        try:
            os.kill(int(worker.split(":")[3]), signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def cursors(self) -> str:
        """Where the sync has kept its place."""
        with self._operations.read() as session:
            stored = session.scalars(sa.select(SourceCursor).order_by(SourceCursor.stream)).all()
            return json.dumps([[one.stream, one.cursor] for one in stored])

    def counts(self, sql: str) -> tuple[int, int]:
        """Rows and distinct keys."""
        with self._warehouse.core() as connection:
            rows, keys = connection.execute(sa.text(sql)).one()
        return int(rows), int(keys)
