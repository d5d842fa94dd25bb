"""The frame around every request: an id, bounds on its head and body, the headers of every answer, and its measures;
and HEAD wherever there is GET (RFC 9110, 9.1)."""

import random
import re
import time
from typing import Final

import structlog
from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.http.metrics import HttpMetrics
from shared.http.problems import REQUEST_ID_HEADER, to_http_problem

MAX_BODY_BYTES: Final = 1024 * 1024
MAX_HEAD_BYTES: Final = 32 * 1024  # of all headers together; proxies stop at 8 to 16 KiB a line
MAX_TARGET_BYTES: Final = 8 * 1024  # of path and query
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")  # as jobs.request_id is long; nothing that a log chokes on
_ID_HEADER: Final = REQUEST_ID_HEADER.lower().encode()


class Frame:
    """ASGI middleware, one for all of it: each costs as much as the routing.

    A request id that a caller sends is kept where it is an id; every line that is written while the request is
    answered, and every job that it starts, has it. A route that reads more of a body than is allowed meets a 413,
    announced length or not: FastAPI's own `max_body_size` sends its 413 from outside of every handler, as text.
    A route is asked for GET where a caller asks for HEAD: the head of the same answer, for whom GET is.
    """

    def __init__(self, app: ASGIApp, metrics: HttpMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500
        request_id, head_bytes = _look_at(scope["headers"])
        structlog.contextvars.bind_contextvars(request_id=request_id)
        method = scope["method"]
        if method == "HEAD":
            scope, send = {**scope, "method": "GET"}, _heads_only(send)

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _complete(message["headers"], request_id)
            await send(message)

        try:
            if head_bytes > MAX_HEAD_BYTES:
                refusal = to_http_problem(431, f"All headers together may have {MAX_HEAD_BYTES} bytes.")
                await refusal(scope, receive, send_with_headers)
            elif len(scope["path"]) + len(scope["query_string"]) > MAX_TARGET_BYTES:
                refusal = to_http_problem(414, f"Path and query together may have {MAX_TARGET_BYTES} bytes.")
                await refusal(scope, receive, send_with_headers)
            else:
                await self._app(scope, _Bounded(receive), send_with_headers)
        finally:
            self._metrics.note(method, scope.get("route"), status, time.perf_counter() - started)


class _Bounded:
    """Receives no more of a body than is allowed."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._received = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            if self._received > MAX_BODY_BYTES:
                # An HTTPException, since that is the one kind that FastAPI lets through from reading a body.
                raise HTTPException(413, f"A body may have {MAX_BODY_BYTES} bytes. Ask for less at once.")
        return message


def _heads_only(send: Send) -> Send:
    """An answer ends with its head: one that has no end, a stream's, is not waited for."""

    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
            await send({"type": "http.response.body"})

    return send_head


def _look_at(headers: list[tuple[bytes, bytes]]) -> tuple[str, int]:
    """The request's id, and the size of its head. A new id guards nothing: it need not be hard to guess."""
    given, size = b"", 0
    for name, value in headers:
        size += len(name) + len(value)
        if name == _ID_HEADER:
            given = value
    kept = given.decode() if _REQUEST_ID.fullmatch(given) else f"{random.getrandbits(128):032x}"  # nosec B311
    return kept, size


def _complete(headers: list[tuple[bytes, bytes]], request_id: str) -> None:
    """`no-store` where a route says nothing else: what is answered is of this moment, and for this caller."""
    names = {name.lower() for name, _ in headers}
    if _ID_HEADER not in names:
        headers.append((_ID_HEADER, request_id.encode()))
    if b"cache-control" not in names:
        headers.append((b"cache-control", b"no-store"))
    headers.append((b"x-content-type-options", b"nosniff"))
