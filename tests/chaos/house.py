"""The house under attack: Redis behind a proxy, scoring's real API, workers of toys, a sweeper; all real processes."""

import os
import signal
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psutil
import sqlalchemy as sa

from shared.operations.database import OperationsDatabase
from shared.operations.migrate import migrate
from tests.chaos.proxy import ProxyProcess
from tests.chaos.toys import ToyWarehouse
from tests.conftest import REPOSITORY, RedisServer, wait_until
from tests.postgres_server import PostgresServer
from tests.servers import ApiServer, Server, start_sweeper

WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # the Standard Webhooks specification's example
_QUEUES = "scoring.batch,scoring.interactive"
_KEEP_SECONDS = 0.5
_STOP_SECONDS = 20


@dataclass(frozen=True)
class Plan:
    """How large a house is, and how quick it is to notice. The defaults are production's, but for the children."""

    workers: int = 2
    children: int = 2
    sweepers: int = 1
    env: dict[str, str] = field(default_factory=dict)
    redis_arguments: tuple[str, ...] = ("--save", "", "--appendonly", "yes", "--appendfsync", "everysec")
    postgres: PostgresServer | None = None
    """Runs already, and has an empty database `operations`; None: SQLite."""
    has_hosts_of_its_own: bool = True
    """Each worker is on a machine of its own, as in containers: nobody else can tell whether its processes live."""
    libfaketime: Path | None = None
    """With it all processes go by the clock in the file `clock`: a machine whose clock is not ours."""


class ToyHouse:
    """Everything between enter and exit; whatever was killed meanwhile."""

    def __init__(self, folder: Path, redis_binary: str, plan: Plan) -> None:
        self.folder, self.plan = folder, plan
        self.data_dir, self.logs = folder / "var", folder / "logs"
        for path in (self.data_dir, self.redis_dir, self.logs):
            path.mkdir(parents=True, exist_ok=True)
        self.redis = RedisServer(redis_binary, self.redis_dir, *plan.redis_arguments)
        self.toys = ToyWarehouse(folder / "toys.sqlite3")
        self.postgres = plan.postgres
        sqlite = f"sqlite:///{self.data_dir / 'operations.sqlite3'}"
        self.url = sqlite if plan.postgres is None else f"{plan.postgres.url}operations"  # ours; the house has a proxy
        self.operations = OperationsDatabase(self.url)
        self.proxy: ProxyProcess | None = None
        self.postgres_proxy: ProxyProcess | None = None
        self.servers: list[Server] = []
        self.workers: list[Server] = []
        self.sweepers: list[Server] = []
        self.deaths: list[str] = []
        self.is_held_down = False
        self._killed: set[int] = set()
        self._is_over = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="keeper")

    @property
    def redis_dir(self) -> Path:
        return self.folder / "redis"

    def __enter__(self) -> Self:
        with ExitStack() as undone:
            undone.callback(self.close)
            self._open()
            undone.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> None:
        self.put_clock(0)
        migrate(self.url)
        self.redis.start()
        self.proxy = ProxyProcess(self.redis.port, REPOSITORY)
        if self.postgres is not None:
            self.postgres_proxy = ProxyProcess(self._postgres_port, REPOSITORY)
        self.api = ApiServer("scoring", self.logs, self.environment)
        self.servers.append(self.api)
        for number in range(self.plan.workers):
            self.workers.append(self._start_worker(number))
            self.servers.append(self.workers[-1])
        for _ in range(self.plan.sweepers):
            self.sweepers.append(start_sweeper(self.logs, self.environment))
            self.servers.append(self.sweepers[-1])
        self.api.wait_ready()
        for worker in self.workers:
            self.wait_children(worker)

        self._keeper.start()

    def kill(self, server: Server) -> None:
        """SIGKILL for it and its children; it is started again within a second, as a supervisor would see to."""
        process = server.process
        self._killed.add(process.pid)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGCONT)
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(_STOP_SECONDS)

    def stop(self, server: Server) -> None:
        """SIGTERM; started again once it is gone, which is waited for."""
        process = server.process
        self._killed.add(process.pid)
        process.terminate()
        process.wait(_STOP_SECONDS)
        wait_until(lambda: server.process is not process, f"{server.log_path.stem} runs again", seconds=30)

    def _keep(self) -> None:
        while not self._is_over.wait(_KEEP_SECONDS):
            for server in self.servers:
                process = server.process
                if process.poll() is not None and not self.is_held_down:
                    if process.pid not in self._killed:
                        self.deaths.append(f"{server.log_path.stem} ended by itself, exit code {process.returncode}")
                    server.restart()

    def close(self) -> None:
        """End what runs of it, also where not all of it was started."""
        self._is_over.set()
        if self._keeper.is_alive():
            self._keeper.join()
        for server in self.servers:
            self.end(server)
        for proxy in (self.proxy, self.postgres_proxy):
            if proxy is not None:
                proxy.close()
        self.operations.dispose()
        self.redis.client.close()
        if self.redis.process is not None:
            self.redis.process.send_signal(signal.SIGCONT)
        self.redis.stop()

    @property
    def environment(self) -> dict[str, str]:
        """Of every process."""
        return {
            "GTM_DATA_DIR": str(self.data_dir),
            "GTM_OPERATIONS_URL": self._their_url,
            "GTM_ENV": "local",
            "GTM_ENV_FILE": os.devnull,
            "GTM_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "REDIS_URL": f"redis://127.0.0.1:{self.proxy.port if self.proxy else 0}/0",
            "REMAP_SIGTERM": "SIGQUIT",
            "GTM_SOFT_SHUTDOWN_SECONDS": "2",
            "TOY_WAREHOUSE": str(self.folder / "toys.sqlite3"),
            **(self._clock if self.plan.libfaketime else {}),
            **self.plan.env,
        }

    @property
    def _postgres_port(self) -> int:
        return sa.make_url(self.url).port or 0

    @property
    def _their_url(self) -> str:
        if self.postgres_proxy is None:
            return self.url
        return sa.make_url(self.url).set(port=self.postgres_proxy.port).render_as_string(hide_password=False)

    def put_clock(self, seconds: int) -> None:
        """By so much before ours, or behind it."""
        (self.folder / "clock").write_text(f"{seconds:+d}\n")

    @property
    def _clock(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(self.plan.libfaketime),
            "FAKETIME_TIMESTAMP_FILE": str(self.folder / "clock"),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def order(self, command: str) -> None:
        """To the proxy before Redis; see its module."""
        assert self.proxy is not None
        self.proxy.order(command)

    def order_postgres(self, command: str) -> None:
        """To the proxy before the operations database."""
        assert self.postgres_proxy is not None
        self.postgres_proxy.order(command)

    def forget_redis(self) -> None:
        """Delete what a stopped Redis would read at its start."""
        for path in sorted(self.redis_dir.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()

    def wait_children(self, worker: Server) -> None:
        """Until its pool is there: it has been imported and takes jobs."""
        wait_until(lambda: self.children(worker), f"a worker's children\n{worker.log()}", seconds=60)

    def children(self, worker: Server) -> list[psutil.Process]:
        """Of its pool; none where it is gone."""
        try:
            return psutil.Process(worker.process.pid).children()
        except psutil.NoSuchProcess:
            return []

    @staticmethod
    def end(server: Server) -> None:
        """SIGKILL, also where it was stopped by SIGSTOP."""
        if server.process.poll() is None:
            os.killpg(server.process.pid, signal.SIGCONT)
        server.kill()

    def _start_worker(self, number: int) -> Server:
        env = self.environment
        if self.plan.has_hosts_of_its_own:
            env["TOY_HOST"] = f"toy-host-{number}"
        command = ["celery", "-A", "tests.chaos.toy_worker", "worker", "-Q", _QUEUES, "-c", str(self.plan.children)]
        return Server(f"worker-{number}", [*command, "-n", f"toy-{number}@%h"], self.logs, env)
