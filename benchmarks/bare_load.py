"""The bare load generator: asks recorded questions again, so many at once, and does nothing with the answers.

`python -m benchmarks.bare_load FILE SLOTS` reads one request a line (host, port, body), and prints the seconds.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _ask(connection: _Connection, body: bytes) -> None:
    """One POST over a kept connection, as plain as HTTP gets."""
    reader, writer = connection
    head = f"POST /api/chat HTTP/1.1\r\nHost: model\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    writer.write(head.encode() + b"\r\n\r\n" + body)
    answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    if " 200 " not in answer.partition("\r\n")[0]:
        raise RuntimeError(answer)
    length = next(line for line in answer.split("\r\n") if line.startswith("content-length:"))
    await reader.readexactly(int(length.partition(":")[2]))


async def _generate(host: str, port: int, bodies: list[bytes], slots: int) -> float:
    waiting = iter(bodies)
    connections = [await asyncio.open_connection(host, port) for _ in range(slots)]

    async def ask_in_turn(connection: _Connection) -> None:
        for body in waiting:
            await _ask(connection, body)

    started = time.perf_counter()
    await asyncio.gather(*(ask_in_turn(connection) for connection in connections))
    seconds = time.perf_counter() - started
    for _, writer in connections:
        writer.close()
    return seconds


def main(path: str, slots: str) -> None:
    """Print the seconds from the first question to the last answer."""
    requests = [json.loads(line) for line in Path(path).read_text().splitlines()]
    bodies = [json.dumps(one["body"]).encode() for one in requests]
    print(asyncio.run(_generate(requests[0]["host"], requests[0]["port"], bodies, int(slots))))


if __name__ == "__main__":
    main(*sys.argv[1:])
