"""Answers of Salesforce's REST API and the delete log."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.fakes.salesforce_org import Org, to_stamp


@dataclass(frozen=True)
class Reply:
    """What goes over the wire. `is_dropped`: the connection is reset instead."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    is_dropped: bool = False
    missing_bytes: int = 0
    """The body breaks off this long before the length that was told."""


def to_json(content: Any, status: int = 200) -> Reply:
    return Reply(status, json.dumps(content).encode(), {"Content-Type": "application/json;charset=UTF-8"})


def error(status: int, code: str, message: str, **headers: str) -> Reply:
    """As REST tells errors: a list of `message, errorCode`."""
    reply = to_json([{"message": message, "errorCode": code}], status)
    return Reply(status, reply.body, {**reply.headers, **headers})


FAULTS: dict[str, Reply] = {
    "500": error(500, "UNKNOWN_EXCEPTION", "An unexpected error occurred."),
    "503": error(503, "SERVER_UNAVAILABLE", "Server too busy"),
    "503-later": error(503, "SERVER_UNAVAILABLE", "Server too busy", **{"Retry-After": "0"}),
    "429": error(429, "TOO_MANY_REQUESTS", "Too many requests", **{"Retry-After": "0"}),
    "403-concurrent": error(
        403, "REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests (Concurrent API Requests) Limit exceeded."
    ),
    "html": Reply(200, b"<html>Down for maintenance</html>", {"Content-Type": "text/html"}),
    "not-json": Reply(200, b'{"totalSize": 3, "done": tr', {"Content-Type": "application/json"}),
    "truncated": Reply(200, b'{"totalSize": 3', {"Content-Type": "application/json"}, missing_bytes=40),
    "dropped": Reply(is_dropped=True),
}


def read_deleted(org: Org, sobject: str, params: dict[str, str]) -> Reply:
    """sObject Get Deleted: seconds are ignored, the log may begin later than `start`, at most 15 days are there."""
    if not org.objects[sobject].is_replicateable:
        return error(400, "INVALID_TYPE", f"entity type {sobject} is not replicateable")
    start, end = (datetime.fromisoformat(params[name]).replace(second=0) for name in ("start", "end"))
    if end - start < timedelta(minutes=1) or start < org.now - timedelta(days=30) or end > org.now:
        return error(400, "INVALID_REPLICATION_DATE", "startDate or endDate is not valid")
    earliest = max(org.now - timedelta(days=15), org.log_begins.get(sobject, org.now - timedelta(days=15)))
    deleted = [one for one in org.deletions if one.sobject == sobject and start <= one.at < end and one.at >= earliest]
    return to_json(
        {
            "deletedRecords": [{"id": one.id, "deletedDate": to_stamp(one.at)} for one in deleted],
            "earliestDateAvailable": to_stamp(earliest),
            "latestDateCovered": to_stamp(end),
        }
    )
