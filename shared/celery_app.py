"""Celery, configured once for every service. Each line has its reason; the figures are in docs/adr/0003-jobs.md.

Messages carry a job's id. Nothing here makes delivery reliable, since nothing can (a message popped from Redis by a
worker that dies is gone whatever the settings): the sweeper publishes again what the job table says is still owed.
"""

from typing import Any

from celery import Celery
from celery.signals import heartbeat_sent, setup_logging
from kombu.entity import Queue

from shared.contracts import QUEUES, TASKS
from shared.logging import configure_logging
from shared.memory import give_memory_back
from shared.settings import QueueSettings, queue_settings

_CLEANUP_SECONDS = 60
# Redis's transport takes 0 before 3. What was begun once goes on ahead of all that has yet to begin: a job whose worker
# died is not to wait behind a backlog.
PRIORITY_FIRST, PRIORITY_NORMAL = 0, 3


def make_celery(name: str, *, settings: QueueSettings | None = None, is_producer: bool = False) -> Celery:
    """The app of one service's workers, or with `is_producer` of a process that only publishes."""
    settings = settings or queue_settings()
    if not is_producer:
        give_memory_back()
    app = Celery(name)
    app.conf.update(
        broker_url=settings.redis_url.get_secret_value(),
        result_backend=None,  # state is read from the operations database and nowhere else
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],  # pickle would run whatever somebody writes into Redis
        task_queues=[Queue(queue) for queue in QUEUES],
        task_routes={task: {"queue": queue} for task, queue in TASKS.values()},
        task_create_missing_queues=False,  # a typo in a queue's name must not park jobs in a queue without workers
        **_connection(settings, is_producer=is_producer),
        **_worker(settings),
    )
    return app


def _connection(settings: QueueSettings, *, is_producer: bool) -> dict[str, Any]:
    return {
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,  # the default gives up after 100 tries, about half an hour
        "broker_channel_error_retry": True,  # a Redis that is full refuses acknowledgements: no reason to end either
        "broker_connection_timeout": 1 if is_producer else 3,
        "broker_pool_acquire_timeout": 5,
        "broker_transport_options": {
            # Later than any task can end; leases and the sweeper recover jobs long before (measured: a task that runs
            # longer than this is delivered again while it runs).
            "visibility_timeout": settings.task_time_limit_seconds + settings.soft_shutdown_seconds + _CLEANUP_SECONDS,
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,  # default 10: a sweep every 100 s
            "socket_timeout": 1 if is_producer else 5,  # default none: a frozen Redis would block for ever
            "socket_connect_timeout": 1 if is_producer else 3,
            "socket_keepalive": True,
            "health_check_interval": 10,  # finds half-open connections
            "retry_on_timeout": False,
            "client_name": "fleet-gtm",
            "priority_steps": [PRIORITY_FIRST, PRIORITY_NORMAL],
        },
        "task_publish_retry": not is_producer,  # an API does not wait for Redis; the sweeper publishes later
        "task_publish_retry_policy": {"max_retries": 1, "interval_start": 0.2},
    }


def _worker(settings: QueueSettings) -> dict[str, Any]:
    return {
        "worker_consumer": "shared.celery_consumer:PromptConsumer",
        "task_acks_late": True,
        "task_soft_time_limit": settings.task_time_limit_seconds - _CLEANUP_SECONDS // 2,
        "task_time_limit": settings.task_time_limit_seconds,
        "worker_prefetch_multiplier": 1,  # a waiting message behind a long task would be delivered twice
        "worker_cancel_long_running_tasks_on_connection_loss": False,  # True lost the task on each of 3 Redis restarts
        "worker_soft_shutdown_timeout": settings.soft_shutdown_seconds,  # with REMAP_SIGTERM=SIGQUIT in the container
        "worker_max_tasks_per_child": 500,
        "worker_hijack_root_logger": False,
        "worker_send_task_events": False,
    }


@setup_logging.connect(weak=False)  # type: ignore[untyped-decorator]  # celery has no stubs
def _configure_worker_logging(**_: object) -> None:
    configure_logging()


@heartbeat_sent.connect(weak=False)  # type: ignore[untyped-decorator]  # celery has no stubs
def _touch_alive_file(**_: object) -> None:
    """Every 2 s while the worker is in touch with Redis: the file's age is the container's health."""
    alive_file = queue_settings().alive_file
    if alive_file is not None:
        alive_file.touch()
