"""What Redis holds of the jobs: by these, not by any mark in the job table, one sees who has a message."""

import base64
import json
from typing import Any, Final

import redis

from shared.contracts import QUEUES
from shared.jobs.dispatch import lists_of

_UNACKNOWLEDGED: Final = "unacked"  # kombu's name: message, exchange and key of what workers have taken


def ids_in_messages(client: "redis.Redis[bytes]") -> set[str]:
    """Ids of all jobs that have a message which waits in a queue, or is in a worker's hands."""
    ids = set()
    for queue in QUEUES:
        for name in lists_of(queue):
            ids |= {_to_id(json.loads(message)) for message in client.lrange(name, 0, -1)}
    return ids | {_to_id(json.loads(value)[0]) for value in client.hvals(_UNACKNOWLEDGED)}


def _to_id(message: dict[str, Any]) -> str:
    """Of Celery's protocol 2: the body is base64 of [[arguments], {named arguments}, {more}]."""
    arguments = json.loads(base64.b64decode(message["body"]))[0]
    return str(arguments[0])
