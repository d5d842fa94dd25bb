"""A fake's HTTP server on a free port of this machine, for as long as the fake is entered."""

import socket
import sys
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class QuietServer(ThreadingHTTPServer):
    """Says nothing of a client that went away, as killed workers do; everything else it tells as usual."""

    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any) -> None:
        if not isinstance(sys.exception(), BrokenPipeError | ConnectionResetError):
            super().handle_error(request, client_address)


def read_body(handler: BaseHTTPRequestHandler) -> bytes:
    """The request's. Raises ConnectionResetError where the client went away before it had sent all of it."""
    length = int(handler.headers.get("Content-Length") or 0)
    body = handler.rfile.read(length)
    if len(body) < length:
        raise ConnectionResetError
    return body


class LocalServer:
    """`url` is known from the start; answers come between enter and exit."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self._server = QuietServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class RateWindow:
    """The requests of the last seconds."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def admits(self, rate: tuple[int, float] | None) -> bool:
        """One more, at no more than `rate`: requests in any so many seconds. One that is refused doesn't count."""
        if rate is None:
            return True
        now, (limit, seconds) = time.monotonic(), rate
        while self._times and self._times[0] <= now - seconds:
            self._times.popleft()
        if len(self._times) >= limit:
            return False
        self._times.append(now)
        return True
