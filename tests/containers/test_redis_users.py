"""Redis as docker/start_redis.sh starts it: a worker and a producer do their work, and can do nothing else."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError
from redis.retry import Retry

from services.ingest.adapters.rate_budget import RateBudget
from shared.celery_app import make_celery
from shared.contracts import QUEUES, JobKind
from shared.jobs.creation import Ticket
from shared.jobs.dispatch import publish
from shared.settings import QueueSettings
from tests.conftest import REPOSITORY, wait_until
from tests.ports import free_port

DENIED_TO_BOTH = ["FLUSHALL", "FLUSHDB", "CONFIG GET dir", "KEYS *", "DEBUG SLEEP 0", "ACL LIST", "SCRIPT FLUSH"]
DENIED_TO_BOTH += ["SHUTDOWN NOSAVE", "MONITOR", "CLIENT KILL TYPE normal", "SAVE", "REPLICAOF NO ONE", "SET other 1"]
DENIED_TO_PRODUCERS = ["BRPOP ingest 1", "RPOP ingest", "DEL ingest", "GET unacked", "ZRANGE unacked_index 0 -1"]
DENIED_TO_PRODUCERS += ["LTRIM ingest 0 0", "RENAME ingest x", "LPUSH unacked x", "EVAL return(1) 0"]
PRIORITIES = ["", "\x06\x163", "\x06\x166", "\x06\x169"]  # kombu has a list for each


class Guarded:
    """A running server and its two passwords."""

    def __init__(self, folder: Path, binary: str) -> None:
        self._folder, self._binary = folder, binary
        self.port = free_port()
        command = [REPOSITORY / "docker" / "make_secrets.sh", folder / "secrets"]
        subprocess.run(command, check=True, capture_output=True, env=os.environ | {"COMPOSE_PROJECT_NAME": "gtm-none"})
        (folder / "redis-server").symlink_to(binary)
        shutil.copy(REPOSITORY / "docker" / "redis_users.acl", folder)
        settings = (REPOSITORY / "docker" / "redis.conf").read_text()
        (folder / "redis.conf").write_text(settings.replace("dir /data", f"dir {folder}"))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Guarded":
        environment = {
            "PATH": f"{self._folder}:{os.environ['PATH']}",
            "GTM_REDIS_SECRETS": str(self._folder / "secrets"),
            "GTM_REDIS_RULES": str(self._folder),
            "GTM_REDIS_USERS": str(self._folder / "users.acl"),
        }
        options = ["--port", str(self.port), "--bind", "127.0.0.1"]
        self.process = subprocess.Popen(
            [REPOSITORY / "docker" / "start_redis.sh", *options], env=environment, stdout=subprocess.DEVNULL
        )
        wait_until(lambda: self._answers(), "Redis answers")
        return self

    def url(self, user: str) -> str:
        """As make_secrets.sh wrote it, with this server's place."""
        written = (self._folder / "secrets" / f"redis_{user}_url").read_text()
        return written.replace("@redis:6379", f"@127.0.0.1:{self.port}")

    def client(self, user: str) -> "redis.Redis":
        return redis.Redis.from_url(self.url(user), socket_timeout=5)

    def _answers(self) -> bool:
        try:
            return bool(self.client("producer").ping())
        except redis.ConnectionError:
            return False


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, redis_binary: str) -> Iterator[Guarded]:
    server = Guarded(tmp_path_factory.mktemp("guarded"), redis_binary)
    try:
        yield server.start()
    finally:
        if server.process is not None:
            server.process.terminate()
            server.process.wait(10)


@pytest.mark.parametrize("command", DENIED_TO_BOTH)
@pytest.mark.parametrize("user", ["producer", "worker"])
def test_nobody_may_empty_or_rule_redis(guarded: Guarded, user: str, command: str) -> None:
    # Redis 7 refuses DEBUG to everybody before it asks for rights, in other words.
    with guarded.client(user) as client, pytest.raises(ResponseError, match="no permissions|DEBUG command not allowed"):
        client.execute_command(*command.split())


@pytest.mark.parametrize("command", DENIED_TO_PRODUCERS)
def test_a_producer_can_neither_read_nor_remove_a_message(guarded: Guarded, command: str) -> None:
    with guarded.client("producer") as client, pytest.raises(NoPermissionError):
        client.execute_command(*command.split())


def test_strangers_and_wrong_passwords_are_refused(guarded: Guarded) -> None:
    wrong = guarded.url("producer").replace("@", "0@")
    for url in (f"redis://127.0.0.1:{guarded.port}/0", wrong):
        with redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0)) as stranger, pytest.raises(AuthenticationError):
            stranger.ping()


@pytest.mark.processes
def test_a_worker_takes_what_a_producer_publishes(guarded: Guarded, tmp_path: Path, operations: object) -> None:
    """With Celery's own chatter (mingle, gossip, pidbox) on: the worker says nothing of permissions, and the queue ends
    empty. The job is one that nobody knows, so the worker drops it. It keeps touching what the health check reads."""
    settings = QueueSettings(REDIS_URL=guarded.url("producer"))  # type: ignore[call-arg]  # by its alias
    producer = make_celery("producer", settings=settings, is_producer=True)
    publish(producer, Ticket("no-such-job", JobKind.SYNC))
    command = [sys.executable, "-m", "celery", "-A", "services.ingest.worker", "worker", "-Q", "ingest", "-P", "solo"]
    environment = os.environ | {"REDIS_URL": guarded.url("worker"), "GTM_DATA_DIR": str(tmp_path / "var")}
    environment["GTM_ALIVE_FILE"] = str(alive_file := tmp_path / "worker.alive")
    log = tmp_path / "worker.log"
    with guarded.client("producer") as client, guarded.client("worker") as taker, log.open("wb") as written:
        assert _count_messages(client) == 1
        worker = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=written, stderr=written)
        try:
            wait_until(lambda: _count_messages(client) == 0, "it is taken", seconds=90)
            wait_until(lambda: not taker.zrange("unacked_index", 0, -1), "it is done with")
            first = alive_file.stat().st_mtime_ns
            wait_until(lambda: alive_file.stat().st_mtime_ns > first, "it says again that it is in touch with Redis")
        finally:
            worker.kill()
            worker.wait(15)
    assert "permission" not in log.read_text().lower()


def _count_messages(client: "redis.Redis") -> int:
    return sum(int(client.llen(f"ingest{priority}")) for priority in PRIORITIES)


def test_the_workers_share_their_rate_there(guarded: Guarded) -> None:
    with guarded.client("worker") as client:
        budget = RateBudget(client, "hubspot", limit=100, window_seconds=10)
        assert budget.acquire() == 0
        budget.hold(0.001)


def test_every_queue_is_open_to_both(guarded: Guarded) -> None:
    with guarded.client("producer") as producer, guarded.client("worker") as worker:
        for queue in QUEUES:
            for priority in PRIORITIES:
                producer.lpush(queue + priority, "message")
                assert worker.rpop(queue + priority) == b"message"
