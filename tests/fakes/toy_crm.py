"""A CRM reduced to what the machinery of syncs needs: one list, read page by page, with faults on demand."""

import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Reply:
    """What goes over the wire. `is_reset`: the connection is reset instead; `cut_at`: the body ends there."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    is_reset: bool = False
    cut_at: int | None = None


@dataclass(frozen=True)
class Request:
    """As it came."""

    method: str
    path: str
    query: dict[str, str]
    token: str
    body: Any


def to_json(content: Any, status: int = 200, **headers: str) -> Reply:
    return Reply(status, json.dumps(content).encode(), {"Content-Type": "application/json", **headers})


class ToyCrm:
    """`GET /records?after=&limit=`: the records whose number follows `after`, and `next` while there are more.

    `faults` are answered first, one a request. `on_request` may block.
    """

    def __init__(self, records: int = 0) -> None:
        self.records = [{"id": str(number), "email": f"p{number}@example.com"} for number in range(1, records + 1)]
        self.faults: deque[Reply] = deque()
        self.requests: list[Request] = []
        self.on_request: Callable[[Request], None] = lambda request: None
        self.fields: dict[str, str | None] = {"id": "string", "email": "string"}
        self.accepts: Callable[[str], bool] = lambda token: True

    def __enter__(self) -> Self:
        crm = self

        class Handler(_Handler):
            pass

        Handler.crm = crm
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def pages(self) -> list[str]:
        """The `after` of every page that was asked for."""
        return [request.query.get("after", "0") for request in self.requests if request.path == "/records"]

    def answer(self, request: Request) -> Reply:
        self.requests.append(request)
        self.on_request(request)
        if self.faults:
            return self.faults.popleft()
        if not self.accepts(request.token):
            return to_json({"message": "the token has expired", "category": "EXPIRED_AUTHENTICATION"}, 401)
        if request.path == "/fields":
            return to_json(self.fields)
        after, limit = int(request.query.get("after", 0)), int(request.query.get("limit", 100))
        page = self.records[after : after + limit]
        following = after + len(page)
        return to_json({"results": page, "next": following if following < len(self.records) else None})


class _Handler(BaseHTTPRequestHandler):
    crm: ToyCrm
    protocol_version = "HTTP/1.1"

    def _reply(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size)
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        asked = Request(self.command, parts.path, query, token, json.loads(body) if body else None)
        reply = self.crm.answer(asked)
        if reply.is_reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
            return
        try:
            self._send(reply)
        except (BrokenPipeError, ConnectionResetError):  # a client that was killed
            self.close_connection = True

    do_GET = do_POST = do_PATCH = do_DELETE = _reply

    def _send(self, reply: Reply) -> None:
        self.send_response_only(reply.status)
        if "Date" not in reply.headers:
            self.send_header("Date", self.date_time_string())
        for name, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body[: reply.cut_at])
        if reply.cut_at is not None:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name is the base class's)
        """Nothing on stderr."""
