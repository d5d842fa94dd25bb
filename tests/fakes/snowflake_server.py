"""A stand-in for Snowflake as a process: `python -m tests.fakes.snowflake_server --port 0 --db FOLDER`

Prints its URL as the first line once it answers. Speaks the protocol of Snowflake's Python connector on 127.0.0.1, over
fakesnow (SQL translated to DuckDB) with its faults mended. Whoever passes it has not been proven on Snowflake:
docs/snowflake.md lists what was not.

    GET  /fake/statements        {"statements": N, "by_kind": {...}, "by_tag": {...}, "failed": N, "logins": N, ...}
    POST /fake/statements/reset
    GET  /fake/log?match=REGEX   the last statements with their texts
    POST /fake/faults            one fault or a list of them (snowflake_faults.py); GET: those that wait; DELETE
"""

import argparse
import asyncio
import socket
from pathlib import Path
from typing import Any, Final

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from tests.fakes.snowflake_account import Account
from tests.fakes.snowflake_api import SnowflakeApi

LOOPBACK: Final = "127.0.0.1"
_IDLE_SECONDS: Final = 300.0


class Protocol(H11Protocol):
    """Shows its transport to the routes, so that one of them can cut the connection."""

    def handle_events(self) -> None:
        """As uvicorn's."""
        super().handle_events()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own type
        """As uvicorn's."""
        super().connection_made(transport)
        app, own = self.app, transport

        async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})["transport"] = own
            await app(scope, receive, send)

        self.app = with_transport


class Server(uvicorn.Server):
    """Says where it listens, once it does."""

    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's."""
        await super().startup(sockets)
        print(self._url, flush=True)


def main(arguments: list[str] | None = None) -> None:
    """Until it is ended by a signal."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--db", type=Path, help="folder of the databases; in memory where it is not given")
    parser.add_argument(
        "--idle-seconds", type=float, default=_IDLE_SECONDS, help="of a transaction that others wait for"
    )
    parser.add_argument("--record", type=Path, help="file that gets every statement, a line of JSON each")
    chosen = parser.parse_args(arguments)
    listening = socket.create_server((LOOPBACK, chosen.port))
    url = f"http://{LOOPBACK}:{listening.getsockname()[1]}"
    account = Account(chosen.db, chosen.idle_seconds)
    if chosen.record is not None:
        account.statements.record_to(chosen.record)
    api = SnowflakeApi(account)
    options: dict[str, Any] = {"log_level": "warning", "timeout_keep_alive": 600, "lifespan": "off"}
    Server(uvicorn.Config(api.app, http=Protocol, **options), url).run([listening])


if __name__ == "__main__":
    main()
