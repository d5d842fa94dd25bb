"""A caller is answered within three seconds, whatever its service leans on does."""

import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from celery.exceptions import CPendingDeprecationWarning
from celery.worker.consumer import Consumer
from kombu import Connection

from shared.celery_app import make_celery
from shared.celery_consumer import PromptConsumer
from shared.operations.migrate import migrate
from shared.settings import QueueSettings
from tests.chaos.load import PATIENCE_SECONDS
from tests.conftest import RedisServer, wait_until
from tests.servers import ApiServer

pytestmark = pytest.mark.processes
CALLERS = 12


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    url = f"sqlite:///{tmp_path / 'operations.sqlite3'}"
    migrate(url)
    env = {"GTM_OPERATIONS_URL": url, "REDIS_URL": "redis://127.0.0.1:1/0", "GTM_ENV": "local"}
    running = ApiServer("scoring", tmp_path, env)
    running.wait_ready()
    yield running
    running.kill()


def test_callers_of_a_locked_database_are_told_in_time(api: ApiServer, tmp_path: Path) -> None:
    def ask(_: int) -> tuple[int, str, float]:
        asked = time.monotonic()
        answer = client.post(f"{api.url}/v1/scorings", json={})
        return answer.status_code, answer.headers.get("Retry-After", ""), time.monotonic() - asked

    with httpx.Client(timeout=30) as client:
        with closing(sqlite3.connect(tmp_path / "operations.sqlite3", isolation_level=None)) as holder:
            holder.execute("begin immediate")
            with ThreadPoolExecutor(CALLERS) as pool:
                answers = list(pool.map(ask, range(CALLERS)))
            holder.execute("rollback")
        assert {(status, bool(again)) for status, again, _ in answers} == {(503, True)}
        assert max(seconds for _, _, seconds in answers) < PATIENCE_SECONDS
        assert ask(0)[0] == 202, "as soon as it is free"


class Enough(Exception):
    """Seen enough."""


def test_a_worker_looks_for_redis_every_two_seconds_however_long_it_was_away(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    def note(_: BaseException, pause: float) -> None:
        pauses.append(pause)
        if len(pauses) == 20:
            raise Enough

    monkeypatch.setattr(Consumer, "ensure_connected", lambda self, connection: connection.ensure_connection(note))
    monkeypatch.setattr("kombu.utils.functional.sleep", lambda _: None)
    with pytest.raises(Enough), Connection("redis://127.0.0.1:1/0") as connection:
        PromptConsumer.__new__(PromptConsumer).ensure_connected(connection)
    assert max(pauses) <= 2


def test_a_worker_that_loses_redis_with_messages_in_its_hands_lives_on(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_celery("test", settings=QueueSettings(REDIS_URL=redis_server.url))
    connection = app.connection_for_read()
    app.send_task("scoring.score_accounts", args=["an-id"], queue="scoring.batch")
    channel = connection.default_channel
    wait_until(lambda: channel.basic_get("scoring.batch", no_ack=False), "a message is in its hands")
    consumer = PromptConsumer.__new__(PromptConsumer)
    consumer.app, consumer.connection = app, connection
    consumer.prefetch_multiplier, consumer.pool = 1, SimpleNamespace(num_processes=1)
    consumer.qos_global = True
    # What a kill of Redis at the wrong moment leaves: the transport is gone, a channel still open.
    monkeypatch.setattr(connection, "collect", lambda **_: connection._do_close_transport())
    redis_server.stop()
    with pytest.warns(CPendingDeprecationWarning):
        consumer.on_connection_error_after_connected(ConnectionResetError())
    assert consumer.connection is None
    app.close()
