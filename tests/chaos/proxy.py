"""A TCP proxy as a process, to stand between the product and Redis, or PostgreSQL, and misbehave on command.

`python -m tests.chaos.proxy --to PORT` prints its own port. Then one command a line on stdin, each answered by `ok`:

    swallow       what is connected now hears nothing any more and is never told so (half-open); new connections work
    refuse        new connections are closed at once, those that are there reset
    delay MS      every piece of data takes so much longer, each way
    cut N WORD    the next N pieces of callers that hold WORD arrive, and the connection is reset before their answer
    pass          behave; connections that were swallowed stay so
"""

import argparse
import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Self

LOOPBACK = "127.0.0.1"
_PIECE_BYTES = 65_536
_TO_BE_DONE_SECONDS = 0.1  # what was cut is done by then; its answer ends the connection sooner


class _Pair:
    """One connection and its other half."""

    def __init__(self, writers: tuple[asyncio.StreamWriter, asyncio.StreamWriter]) -> None:
        self.writers = writers
        self.is_swallowed = False
        self.is_cut = False  # its answers go nowhere

    def reset(self) -> None:
        for writer in self.writers:
            writer.transport.abort()


class Proxy:
    """The moods of the module's docstring."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._pairs: set[_Pair] = set()
        self._delay = 0.0
        self._refuses = False
        self._cuts, self._word = 0, b""

    def obey(self, command: str) -> None:
        """Raises ValueError for a word that it doesn't know."""
        word, _, value = command.partition(" ")
        if word == "swallow":
            for pair in self._pairs:
                pair.is_swallowed = True
        elif word == "refuse":
            self._refuses = True
            for pair in list(self._pairs):
                pair.reset()
        elif word == "delay":
            self._delay = float(value) / 1000
        elif word == "cut":
            number, _, wanted = value.partition(" ")
            self._cuts, self._word = int(number), wanted.encode()
        elif word == "pass":
            self._refuses, self._delay, self._cuts = False, 0.0, 0
        else:
            raise ValueError(command)

    async def serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until either side ends; a swallowed one until the proxy does."""
        if self._refuses:
            writer.transport.abort()
            return
        try:
            theirs, to_them = await asyncio.open_connection(LOOPBACK, self._port)
        except OSError:
            writer.transport.abort()
            return
        pair = _Pair((writer, to_them))
        self._pairs.add(pair)
        await asyncio.wait(
            [
                asyncio.create_task(self._pump(reader, to_them, pair, is_caller=True)),
                asyncio.create_task(self._pump(theirs, writer, pair, is_caller=False)),
            ],
            return_when=asyncio.FIRST_COMPLETED,
        )
        if pair.is_swallowed:
            await asyncio.Event().wait()
        pair.reset()
        self._pairs.discard(pair)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pair: _Pair, *, is_caller: bool
    ) -> None:
        try:
            while piece := await reader.read(_PIECE_BYTES):
                if self._delay:
                    await asyncio.sleep(self._delay)
                if is_caller and self._cuts and self._word in piece:
                    self._cuts -= 1
                    pair.is_cut = True
                if not pair.is_swallowed and (is_caller or not pair.is_cut):
                    writer.write(piece)
                    await writer.drain()
                if pair.is_cut:
                    if is_caller:
                        await asyncio.sleep(_TO_BE_DONE_SECONDS)
                    return
        except OSError:
            return


class ProxyProcess:
    """Its other side, in the test."""

    def __init__(self, port: int, repository: Path) -> None:
        command = [sys.executable, "-m", "tests.chaos.proxy", "--to", str(port)]
        self._process = subprocess.Popen(
            command, cwd=repository, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.port = int(self._answer())

    def order(self, command: str) -> None:
        """One of the module's commands; it holds when this returns."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        assert self._answer() == "ok", command

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


async def _run(port: int) -> None:
    proxy = Proxy(port)
    server = await asyncio.start_server(proxy.serve_one, LOOPBACK, 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(commands), sys.stdin  # its end is the end of whoever commands
    )
    while line := (await commands.readline()).decode().strip():
        proxy.obey(line)
        print("ok", flush=True)


def main() -> None:
    """Until stdin ends."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--to", type=int, required=True)
    asyncio.run(_run(parser.parse_args().to))


if __name__ == "__main__":
    main()
