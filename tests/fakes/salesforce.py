"""A stateful Salesforce over HTTP on a free loopback port: OAuth, describe, SOQL, delete log, Bulk API 2.0, limits.

It speaks the documented wire contract (REST API Developer Guide and Bulk API 2.0 Developer Guide, version 62.0) over an
`Org` that the test changes, before and, by `on_request`, during a scan. `faults` says what goes wrong with a request.
"""

import itertools
import json
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import format_datetime, formatdate
from http.server import BaseHTTPRequestHandler
from typing import Any, Self
from urllib.parse import parse_qs, parse_qsl, urlsplit

from tests.fakes.salesforce_bulk import BulkJobs
from tests.fakes.salesforce_login import Login, LoginRefused, make_key
from tests.fakes.salesforce_org import Org, Record
from tests.fakes.salesforce_rest import FAULTS, Reply, error, read_deleted, to_json
from tests.fakes.salesforce_soql import SoqlError, parse_soql
from tests.fakes.serving import QuietServer, RateWindow, read_body


@dataclass(frozen=True)
class Call:
    """One request that arrived."""

    method: str
    path: str
    params: dict[str, str]
    body: bytes = b""

    @property
    def is_data(self) -> bool:
        return not self.path.startswith("/services/oauth2")


Fault = Callable[[Call], Reply | None]


@dataclass
class _Cursor:
    """What nextRecordsUrl leads to: the ids are those of the query, their content is that of the moment."""

    sobject: str
    fields: tuple[str, ...]
    ids: list[str]


@dataclass
class FakeSalesforce:
    """`with FakeSalesforce() as salesforce:` listens at `salesforce.url`."""

    org: Org = field(default_factory=Org)
    login: Login = field(default_factory=lambda: Login(make_key()))
    page_rows: int = 2_000
    partial: Callable[[int], int] = lambda rows: rows
    """How many of a full page's rows really come: wide rows make smaller pages."""
    daily_calls: int = 100_000
    used_calls: int = 0
    rate: tuple[int, float] | None = None
    """Requests in any so many seconds; more get a 429."""
    refused: int = 0
    faults: Fault = lambda call: None
    on_request: Callable[[Call], None] = lambda call: None
    calls: list[Call] = field(default_factory=list)
    bulk: BulkJobs = field(init=False)
    _cursors: dict[str, _Cursor] = field(default_factory=dict)
    _window: RateWindow = field(default_factory=RateWindow)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.bulk = BulkJobs(self.org)
        handler = type("Handler", (_Handler,), {"salesforce": self})
        self._server = QuietServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.login.audiences = (*self.login.audiences, self.url)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def forget_cursors(self) -> None:
        """Query locators live for two days, and a user has only ten."""
        self._cursors.clear()

    def answer(self, call: Call, token: str) -> Reply:
        with self._lock:
            self.calls.append(call)
            if not self._window.admits(self.rate):
                self.refused += 1
                return FAULTS["429"]
            fault = self.faults(call)
            if fault is not None:
                return fault
            if not call.is_data:
                return self._grant(call)
            if token not in self.login.tokens:
                return error(401, "INVALID_SESSION_ID", "Session expired or invalid")
            if self.used_calls >= self.daily_calls:
                return error(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
            self.used_calls += 1
            self.on_request(call)
            try:
                return self._route(call)
            except SoqlError as problem:
                return error(400, problem.code, str(problem))

    @property
    def limit_info(self) -> str:
        return f"api-usage={self.used_calls}/{self.daily_calls}"

    def _grant(self, call: Call) -> Reply:
        try:
            token = self.login.grant(dict(parse_qsl(call.body.decode())))
        except LoginRefused as refused:
            return to_json({"error": refused.error, "error_description": str(refused)}, 400)
        return to_json({"access_token": token, "instance_url": self.url, "token_type": "Bearer"})

    def _route(self, call: Call) -> Reply:
        match call.path.strip("/").split("/")[3:]:
            case ["limits"]:
                left = {"Max": self.daily_calls, "Remaining": self.daily_calls - self.used_calls}
                return to_json({"DailyApiRequests": left, "DailyBulkV2QueryJobs": {"Max": 10_000, "Remaining": 9_990}})
            case ["sobjects", name, "describe"] if self._is_known(name):
                return to_json(self.org.objects[name].to_json())
            case ["sobjects", name, "deleted"] if self._is_known(name):
                return read_deleted(self.org, name, call.params)
            case ["query" | "queryAll" as resource] if "q" in call.params:
                return self._query(call.params["q"], with_deleted=resource == "queryAll")
            case ["query", locator]:
                return self._more(locator)
            case ["jobs", "query", *rest]:
                return self._bulk(call, rest)
        return error(404, "NOT_FOUND", "The requested resource does not exist")

    def _is_known(self, name: str) -> bool:
        return name in self.org.objects and self.org.objects[name].is_allowed

    def _query(self, soql: str, *, with_deleted: bool) -> Reply:
        statement = parse_soql(soql, self.org)
        found = statement.run(self.org, with_deleted=with_deleted)
        if not statement.fields:
            return to_json({"totalSize": len(found), "done": True, "records": []})
        locator = f"01gfake{next(self._numbers):011d}"
        self._cursors[locator] = _Cursor(statement.sobject, statement.fields, [one["Id"] for one in found])
        return self._more(f"{locator}-0")

    def _more(self, place: str) -> Reply:
        locator, _, begin = place.rpartition("-")
        cursor = self._cursors.get(locator)
        if cursor is None:
            return error(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        end = int(begin) + max(1, self.partial(self.page_rows))
        stored = self.org.records.get(cursor.sobject, {})
        records = [self._to_json(cursor, stored[id]) for id in cursor.ids[int(begin) : end] if id in stored]
        answer = {"totalSize": len(cursor.ids), "done": end >= len(cursor.ids), "records": records}
        if not answer["done"]:
            answer["nextRecordsUrl"] = f"/services/data/v62.0/query/{locator}-{end}"
        return to_json(answer)

    def _to_json(self, cursor: _Cursor, record: Record) -> Record:
        url = f"/services/data/v62.0/sobjects/{cursor.sobject}/{record['Id']}"
        chosen = {name: record.get(name) for name in cursor.fields}
        return {"attributes": {"type": cursor.sobject, "url": url}, **chosen}

    def _bulk(self, call: Call, rest: list[str]) -> Reply:
        if call.method == "POST" and not rest:
            asked = json.loads(call.body)
            return to_json(self.bulk.create(asked["query"], asked["operation"]).to_json())
        job = self.bulk.poll(rest[0]) if len(rest) == 1 else self.bulk.jobs.get(rest[0])
        if job is None:
            return error(404, "NOT_FOUND", "The requested resource does not exist")
        if rest[1:] == ["results"]:
            if job.state != "JobComplete":
                return error(412, "JOB_NOT_COMPLETE", "can only download query results of completed bulk jobs")
            most = call.params.get("maxRecords")
            text, rows, locator = self.bulk.results(job, call.params.get("locator"), int(most) if most else None)
            headers = {"Content-Type": "text/csv", "Sforce-Locator": locator, "Sforce-NumberOfRecords": str(rows)}
            return Reply(200, text.encode(), headers)
        if call.method == "DELETE":
            self.bulk.jobs.pop(job.id)
            return Reply(204)
        return to_json(job.to_json())


class _Handler(BaseHTTPRequestHandler):
    salesforce: FakeSalesforce
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        if "/oauth2/" in self.path:
            return formatdate(self.salesforce.login.now, usegmt=True)
        return format_datetime(self.salesforce.org.now, usegmt=True)

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        params = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        body = read_body(self)
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        reply = self.salesforce.answer(Call(self.command, parts.path, params, body), token)
        if reply.is_dropped:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in {**reply.headers, "Sforce-Limit-Info": self.salesforce.limit_info}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body) + reply.missing_bytes))
        self.end_headers()
        self.wfile.write(reply.body)
        if reply.missing_bytes:
            self.close_connection = True
