"""One HTTP call to a model host: whole time bounded, size bounded, every transport error told apart."""

import asyncio
import importlib.util
import json
import ssl
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import httpx
from pydantic import SecretStr

from services.scoring.adapters.lead_model import ModelUnavailable

# httpcore imports sniffio at every request if it can. Where it isn't installed, Python would search its whole path each
# time, half of what a request costs; with this entry the import fails at once.
if importlib.util.find_spec("sniffio") is None:
    sys.modules["sniffio"] = None  # type: ignore[assignment]  # as Python's import system documents it

_CONNECT_SECONDS = 5.0
_MAX_BODY_BYTES = 2_000_000
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


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
        return self.status == 200 and isinstance(self.content, dict) and "error" not in self.content


class ModelHttp:
    """Open clients, one for each call that goes on at once. No proxy from the environment: account data goes to the
    named hosts and nowhere else.

    One client for all would take twice the CPU: at each request its pool looks at every connection that it has.
    """

    def __init__(self, api_key: SecretStr | None) -> None:
        headers = {"Accept-Encoding": "identity"}  # else a bound on the bytes read would bound nothing
        if api_key is not None:
            headers["Authorization"] = f"Bearer {api_key.get_secret_value()}"
        self._headers = headers
        self._idle: list[httpx.AsyncClient] = []

    @contextmanager
    def _client(self) -> Iterator[httpx.AsyncClient]:
        """The one that was used last, whose connection is the likeliest to be there still."""
        client = self._idle.pop() if self._idle else self._open()
        try:
            yield client
        finally:
            self._idle.append(client)

    def _open(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            headers=self._headers,
            verify=_certificates(),
            trust_env=False,
            follow_redirects=False,
            timeout=None,  # `call` bounds the whole; httpx's own are per read, which a slow drip never trips
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
        )

    async def close(self) -> None:
        """End its connections."""
        while self._idle:
            await self._idle.pop().aclose()

    async def call(self, url: str, path: str, body: Mapping[str, Any] | None, timeout_seconds: float) -> Received:
        """POST with a body, GET without.

        Raises:
            ModelUnavailable: no whole HTTP answer came in time.
        """
        method = "GET" if body is None else "POST"
        try:
            with self._client() as client:
                async with asyncio.timeout(timeout_seconds):
                    timeout = httpx.Timeout(None, connect=_CONNECT_SECONDS)
                    async with client.stream(method, url + path, json=body, timeout=timeout) as response:
                        return Received(url, response.status_code, response.headers, _parse(await _read(response, url)))
        except TimeoutError as error:
            raise ModelUnavailable(f"{url} gave no answer within {timeout_seconds:.3g} s", is_sent=True) from error
        except httpx.HTTPError as error:
            detail = f"{url}: {type(error).__name__} {error}".strip()
            raise ModelUnavailable(detail, is_sent=not isinstance(error, _NEVER_SENT)) from error


@lru_cache
def _certificates() -> ssl.SSLContext:
    """The authorities that are trusted: read once a process, since that takes longer than a question."""
    return httpx.create_ssl_context(trust_env=False)


async def _read(response: httpx.Response, url: str) -> bytes:
    content = b""
    async for piece in response.aiter_raw():
        content += piece
        if len(content) > _MAX_BODY_BYTES:
            raise ModelUnavailable(f"{url} answered with more than {_MAX_BODY_BYTES} bytes", is_reached=True)
    return content


def _parse(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
