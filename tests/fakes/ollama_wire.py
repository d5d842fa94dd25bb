"""HTTP/1.1 over asyncio that can also break it: late headers, a drip, half a body, a reset. One thread for all callers.

Written by hand because a server library keeps a reply whole, which is what these faults are not.
"""

import asyncio
import json
import socket
import struct
import threading
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http.client import responses
from typing import Any, Self, cast

Answer = Callable[[str, str, bytes], Awaitable["Reply"]]
_BREATH = 64  # bytes of a dripping body at once


@dataclass(frozen=True)
class Reply:
    """What goes over the wire, and how badly.

    `is_dropped`: the connection is reset instead. `late_seconds`: nothing, not even headers, before that. `cut_at`: so
    many bytes of the body, then the end. `drip_seconds`: a pause after every few bytes of it. `is_chunked`: chunks
    instead of a length; the last one is missing where the body is cut. `trailing`: bytes after its end.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    is_dropped: bool = False
    late_seconds: float = 0
    cut_at: int | None = None
    drip_seconds: float = 0
    is_chunked: bool = False
    trailing: bytes = b""

    @property
    def head(self) -> bytes:
        length = {"Transfer-Encoding": "chunked"} if self.is_chunked else {"Content-Length": str(len(self.body))}
        lines = [f"{name}: {value}\r\n" for name, value in {**self.headers, **length}.items()]
        return f"HTTP/1.1 {self.status} {responses.get(self.status, 'Unknown')}\r\n{''.join(lines)}\r\n".encode()


def to_json(content: Any, status: int = 200, **headers: str) -> Reply:
    """A whole JSON reply."""
    return Reply(status, json.dumps(content).encode(), {"Content-Type": "application/json; charset=utf-8", **headers})


class WireServer:
    """`url` is known from the start; answers come between enter and exit, or as long as `serve` runs."""

    def __init__(self, answer: Answer, port: int = 0) -> None:
        self._socket: socket.socket | None = socket.create_server(("127.0.0.1", port), backlog=1024)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.connections: set[_Connection] = set()
        self.headers: dict[str, str] = {}  # of the last request, names in lower case
        self._answer = answer
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: asyncio.Server | None = None
        self._stopped: asyncio.Event | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self.serve()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None and self._stopped is not None
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()

    async def serve(self) -> None:
        """Until `__exit__`, or for ever."""
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        await self._listen()
        self._ready.set()
        await self._stopped.wait()
        self._close()

    def die(self) -> None:
        """As a killed server: nobody listens, every connection is reset, at once."""
        self._from_outside(self._close)

    def revive(self) -> None:
        """On the same port."""
        self._from_outside(self._listen)

    async def _listen(self) -> None:
        if self._socket is None:
            self._socket = socket.create_server(("127.0.0.1", self.port), backlog=1024)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self, self._answer), sock=self._socket)

    def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        self._server = self._socket = None
        for connection in list(self.connections):
            connection.reset()

    def _from_outside(self, work: Callable[[], Awaitable[None] | None]) -> None:
        assert self._loop is not None, "enter the server first"

        async def do() -> None:
            if (pending := work()) is not None:
                await pending

        asyncio.run_coroutine_threadsafe(do(), self._loop).result(10)


class _Connection(asyncio.Protocol):
    """One caller's connection; a caller that hangs up cancels its answer, as it does with a real server."""

    def __init__(self, server: WireServer, answer: Answer) -> None:
        self._server = server
        self._answer = answer
        self._received = b""
        self._transport: asyncio.Transport | None = None
        self._work: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by its methods, not by its class
        self._server.connections.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._server.connections.discard(self)
        self._transport = None
        if self._work is not None:
            self._work.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, rest = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        self._server.headers = headers
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return
        self._received = rest[length:]
        method, path, _ = lines[0].split(" ")
        self._work = asyncio.get_running_loop().create_task(self._reply(method, path, rest[:length]))

    def reset(self) -> None:
        """RST, not FIN: the caller reads an error, not an end."""
        if self._transport is not None:
            connection = self._transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()

    async def _reply(self, method: str, path: str, body: bytes) -> None:
        try:
            reply = await self._answer(method, path, body)
        except Exception:  # a defect of a script or of the fake: the caller sees a reset, the log says why
            traceback.print_exc()
            self.reset()
            return
        if reply.late_seconds:
            await asyncio.sleep(reply.late_seconds)
        if reply.is_dropped:
            self.reset()
        elif reply.drip_seconds or reply.is_chunked or reply.cut_at is not None:
            await self._send_in_pieces(reply)
        else:
            self._write(reply.head + reply.body + reply.trailing)

    async def _send_in_pieces(self, reply: Reply) -> None:
        self._write(reply.head)
        sent = reply.body if reply.cut_at is None else reply.body[: reply.cut_at]
        for start in range(0, len(sent), _BREATH):
            piece = sent[start : start + _BREATH]
            self._write(b"%x\r\n%s\r\n" % (len(piece), piece) if reply.is_chunked else piece)
            await asyncio.sleep(reply.drip_seconds)
        if reply.cut_at is not None:
            self._hang_up()
        elif reply.is_chunked:
            self._write(b"0\r\n\r\n")

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _hang_up(self) -> None:
        """FIN after what was sent: half a body, and no more."""
        if self._transport is not None:
            self._transport.close()
