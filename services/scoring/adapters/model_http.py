"""One HTTP call to a model host: whole time bounded, size bounded, every transport error told apart.

Over httpcore, the layer below httpx: of the 1.0 ms of CPU that a call takes through httpx it needs a third, and a
worker makes thousands of them a minute.
"""

import asyncio
import importlib.util
import json
import select
import ssl
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import httpcore
import httpx
from pydantic import SecretStr

from services.scoring.adapters.lead_model import ModelUnavailable
from shared.logging import current_request_id

# httpcore imports sniffio at every request if it can. Where it isn't installed, Python would search its whole path each
# time, half of what a request costs; with this entry the import fails at once.
if importlib.util.find_spec("sniffio") is None:
    sys.modules["sniffio"] = None  # type: ignore[assignment]  # as Python's import system documents it

_CONNECT_SECONDS = 5.0
_CONNECT_SHARE = 0.4  # of a call's time, for TCP and for TLS: a handshake cut off from outside leaves its socket open
_KEEP_ALIVE_SECONDS = 4.0  # a server may close an idle connection: uvicorn does so after 5 s
_STALE_SECONDS = 0.5  # idle for so long, a connection may be closed while a request is on its way
_MAX_BODY_BYTES = 2_000_000
_CLOSED = (httpcore.RemoteProtocolError, httpcore.ReadError, httpcore.WriteError)
_ERRORS = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, httpcore.UnsupportedProtocol)


@dataclass(frozen=True)
class Received:
    """`content` is the JSON body, None where it was something else. Header names are in lower case."""

    host: str
    status: int
    headers: Mapping[str, str]
    content: Any

    @property
    def record(self) -> dict[str, Any]:
        """The JSON object, empty where it was none."""
        return self.content if isinstance(self.content, dict) else {}

    @property
    def is_answer(self) -> bool:
        """What an API's success looks like, whatever is in it."""
        return self.status == 200 and isinstance(self.content, dict) and self.content.get("error") is None


class ModelHttp:
    """Kept connections, one for each call that goes on at once. No proxy and no redirect: account data goes to the
    named hosts and nowhere else.
    """

    def __init__(self, api_key: SecretStr | None) -> None:
        # `identity`: else a bound on the bytes read would bound nothing.
        self._headers = [(b"Accept-Encoding", b"identity"), (b"Accept", b"application/json")]
        if api_key is not None:
            self._headers.append((b"Authorization", f"Bearer {api_key.get_secret_value()}".encode()))
        self._idle: dict[str, list[_Idle]] = {}

    async def close(self) -> None:
        """End its connections."""
        for connections in self._idle.values():
            while connections:
                await connections.pop().connection.aclose()

    async def call(self, url: str, path: str, body: Mapping[str, Any] | None, timeout_seconds: float) -> Received:
        """POST with a body, GET without.

        Raises:
            ModelUnavailable: no whole HTTP answer came in time.
        """
        request = self._to_request(url + path, body, min(_CONNECT_SECONDS, timeout_seconds * _CONNECT_SHARE))
        sent = _Sent()
        try:
            async with asyncio.timeout(timeout_seconds):
                try:
                    return await self._send(url, request, sent)
                except _CLOSED:
                    if not sent.is_stale:
                        raise
                # The server closed it while it was idle: it has not seen the question. Not counted, and not repeated.
                return await self._send(url, request, sent)
        except TimeoutError as error:
            detail = f"{url} gave no answer within {timeout_seconds:.3g} s"
            raise ModelUnavailable(detail, is_sent=sent.is_sent) from error
        except _ERRORS as error:
            detail = f"{url}: {type(error).__name__} {error}".strip()
            raise ModelUnavailable(detail, is_sent=sent.is_sent) from error

    async def _send(self, url: str, request: httpcore.Request, sent: "_Sent") -> Received:
        async with self._connection(request.url.origin, sent) as connection:
            response = await connection.handle_async_request(request)
            sent.is_stale = False
            sent.socket = sent.socket or response.extensions["network_stream"].get_extra_info("socket")
            try:
                headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
                return Received(url, response.status, headers, _parse(await _read(response, url)))
            finally:
                await response.aclose()

    @asynccontextmanager
    async def _connection(self, origin: httpcore.Origin, sent: "_Sent") -> AsyncIterator[httpcore.AsyncHTTPConnection]:
        """The one that was used last, which is the likeliest to be open still; else a new one, and a new one where that
        one turned out to be closed."""
        idle, now = self._idle.setdefault(str(origin), []), asyncio.get_running_loop().time()
        kept = None if sent.is_stale else await _take_open(idle, now)
        sent.is_stale = kept is not None and now - kept.since >= _STALE_SECONDS
        sent.socket = kept.socket if kept else None
        connection = kept.connection if kept else _connect(origin)
        try:
            yield connection
        finally:
            sent.is_sent = sent.is_sent or not connection.info().startswith("CONNECTI")
            if connection.is_idle() and not connection.is_closed() and not _has_more(connection):
                idle.append(_Idle(connection, sent.socket, asyncio.get_running_loop().time()))
            else:
                await connection.aclose()

    def _to_request(self, address: str, body: Mapping[str, Any] | None, connect_seconds: float) -> httpcore.Request:
        url, host = _to_url(address)
        headers, content = [(b"Host", host), *self._headers], b""
        if request_id := current_request_id():  # so that the model server's log can be searched by it, too
            headers.append((b"X-Request-ID", request_id.encode("ascii", "replace")))
        if body is not None:
            content = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
            headers += [(b"Content-Type", b"application/json"), (b"Content-Length", str(len(content)).encode())]
        # Only connecting has a limit here: `call` bounds the whole, and httpcore's others are per read, which a slow
        # drip never trips.
        extensions = {"timeout": {"connect": connect_seconds}}
        return httpcore.Request(
            "GET" if body is None else "POST", url, headers=headers, content=content, extensions=extensions
        )


@dataclass
class _Sent:
    """How far a request came. `is_stale`: by a kept connection that may have been closed, and nothing came back."""

    is_sent: bool = False
    is_stale: bool = False
    socket: Any = None
    """Of the connection that it went by, once it answered."""


@dataclass(frozen=True)
class _Idle:
    """A kept connection, its socket, and since when nothing goes over it (the loop's time)."""

    connection: httpcore.AsyncHTTPConnection
    socket: Any
    since: float

    def is_open(self, now: float) -> bool:
        """Not idle for too long, and nothing to be read: that is the server's end of the connection.

        httpcore's `has_expired` tells the same, and asks for peer and TLS before every question: 3 % of its CPU.
        """
        if now - self.since >= _KEEP_ALIVE_SECONDS:
            return False
        poll = select.poll()
        poll.register(self.socket.fileno(), select.POLLIN)
        return not poll.poll(0)


def _connect(origin: httpcore.Origin) -> httpcore.AsyncHTTPConnection:
    return httpcore.AsyncHTTPConnection(origin, _certificates(), _KEEP_ALIVE_SECONDS)


async def _take_open(idle: list[_Idle], now: float) -> _Idle | None:
    while idle:
        if (kept := idle.pop()).is_open(now):
            return kept
        await kept.connection.aclose()
    return None


def _has_more(connection: httpcore.AsyncHTTPConnection) -> bool:
    """Bytes came after the answer's end: the next question would read them as its answer. httpcore does not look."""
    state = getattr(connection._connection, "_h11_state", None)  # noqa: SLF001
    return bool(state is None or state.trailing_data[0])


@lru_cache
def _to_url(address: str) -> tuple[httpcore.URL, bytes]:
    """Address and Host header, written by the same rules as httpx writes them."""
    url = httpx.URL(address)
    parts = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
    return parts, url.netloc


@lru_cache
def _certificates() -> ssl.SSLContext:
    """The authorities that are trusted: read once a process, since that takes longer than a question."""
    return httpx.create_ssl_context(trust_env=False)


async def _read(response: httpcore.Response, url: str) -> bytes:
    content = b""
    async for piece in response.aiter_stream():
        content += piece
        if len(content) > _MAX_BODY_BYTES:
            raise ModelUnavailable(f"{url} answered with more than {_MAX_BODY_BYTES} bytes", is_reached=True)
    return content


def _parse(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
