"""The load of the API's benchmark, in a process of its own: plain HTTP/1.1 over kept connections, answers only counted.

`python -m benchmarks.http_load` reads one JSON object on stdin (host, port, targets, headers, connections, and
`seconds` of asking as fast as is answered, or `rate` a second for so long) and prints one.

With a rate it asks on time whether or not earlier questions were answered, and counts from when a question was due: a
server that stalls is not asked more kindly.
"""

import asyncio
import itertools
import json
import resource
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

_END = b"\r\n\r\n"


class _Connection(asyncio.Protocol):
    """One question at a time; `on_answer` gets the status and the moment that its question was due."""

    def __init__(self, on_answer: Callable[["_Connection", int, float], None]) -> None:
        self._on_answer = on_answer
        self._buffer = b""
        self._due = 0.0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def ask(self, question: bytes, due: float) -> None:
        assert self.transport is not None
        self._due = due
        self.transport.write(question)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, body = self._buffer.partition(_END)
        if not end:
            return
        at = head.lower().find(b"content-length: ")
        length = int(head[at + 16 :].partition(b"\r\n")[0]) if at >= 0 else 0
        if len(body) >= length:
            self._buffer = body[length:]
            self._on_answer(self, int(head[9:12]), self._due)

    def connection_lost(self, error: Exception | None) -> None:
        if error is not None:
            raise error


class Load:
    """One run."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self._asked = asked
        self._questions: Iterator[bytes] = itertools.cycle(_to_questions(asked))
        self._statuses: dict[int, int] = {}
        self._waits: list[float] = []
        self._idle: deque[_Connection] = deque()
        self._late: deque[float] = deque()
        self._until = 0.0

    async def run(self) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        host, port = self._asked["host"], self._asked["port"]
        for _ in range(self._asked["connections"]):
            _, connection = await loop.create_connection(lambda: _Connection(self._note), host, port)
            self._idle.append(connection)
        started = time.perf_counter()
        self._until = started + self._asked["seconds"]
        rate = self._asked.get("rate")
        if rate:
            await self._ask_on_time(started, rate)
        else:
            for connection in list(self._idle):
                connection.ask(next(self._questions), time.perf_counter())
            await asyncio.sleep(self._asked["seconds"])
        seconds = time.perf_counter() - started
        used = resource.getrusage(resource.RUSAGE_SELF)
        waits = sorted(self._waits)
        return {
            "requests": len(waits),
            "seconds": seconds,
            "statuses": self._statuses,
            "unanswered": len(self._late),
            "cpu_seconds": used.ru_utime + used.ru_stime,
            **{f"p{share}_ms": 1000 * waits[min(len(waits) - 1, len(waits) * share // 100)] for share in (50, 99)},
            "longest_ms": 1000 * waits[-1],
        }

    async def _ask_on_time(self, started: float, rate: float) -> None:
        for number in range(int(self._asked["seconds"] * rate)):
            due = started + number / rate
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            if self._idle:
                self._idle.popleft().ask(next(self._questions), due)
            else:
                self._late.append(due)
        while len(self._waits) < int(self._asked["seconds"] * rate):
            await asyncio.sleep(0.01)

    def _note(self, connection: _Connection, status: int, due: float) -> None:
        now = time.perf_counter()
        self._waits.append(now - due)
        self._statuses[status] = self._statuses.get(status, 0) + 1
        if self._late:
            connection.ask(next(self._questions), self._late.popleft())
        elif self._asked.get("rate"):
            self._idle.append(connection)
        elif now < self._until:
            connection.ask(next(self._questions), now)


def _to_questions(asked: dict[str, Any]) -> list[bytes]:
    headers = "".join(f"{name}: {value}\r\n" for name, value in asked["headers"].items())
    host = f"{asked['host']}:{asked['port']}"
    return [f"GET {target} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n".encode() for target in asked["targets"]]


if __name__ == "__main__":
    print(json.dumps(asyncio.run(Load(json.load(sys.stdin)).run())))
