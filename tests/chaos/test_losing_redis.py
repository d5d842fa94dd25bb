"""A worker that loses Redis, and finds it again."""

from types import SimpleNamespace

import pytest
from celery.exceptions import CPendingDeprecationWarning
from celery.worker.consumer import Consumer
from kombu import Connection

from shared.celery_app import make_celery
from shared.celery_consumer import PromptConsumer
from shared.settings import QueueSettings
from tests.conftest import RedisServer, wait_until


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
