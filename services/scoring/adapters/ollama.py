"""Ollama's native API behind `LeadModel`. One request, one answer or one error: the retry ladder is the flow's.

Source: ollama/ollama docs/api.md and server/routes.go (July 2026); the faults that are told apart here are those of its
issue tracker. Options are identical on every call but for seed and length: any other difference in them has
the server unload and reload the model.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import httpx

from services.scoring.adapters.lead_model import ModelUnavailable
from services.scoring.adapters.ollama_errors import to_error
from services.scoring.domain.interview import ModelReply
from services.scoring.settings import ScoringSettings
from shared.errors import TerminalError

_DEFAULT_PORT = 11434
_KEEP_ALIVE = "30m"
_CONNECT_SECONDS = 5.0
_REST_SECONDS = 15.0  # a host that failed is passed over for so long where another one is listed
_MAX_BODY_BYTES = 2_000_000


class _Host:
    def __init__(self, url: str) -> None:
        self.url = url
        self.outstanding = 0
        self.rests_until = 0.0


class OllamaModel:
    """See `LeadModel`. Several hosts in OLLAMA_HOST are balanced by the calls outstanding at each."""

    def __init__(self, settings: ScoringSettings) -> None:
        self._settings = settings
        self._hosts = [_Host(url) for url in parse_hosts(settings.ollama_host)]
        self._client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        timeout = httpx.Timeout(self._settings.answer_timeout_seconds, connect=_CONNECT_SECONDS)
        # No proxy from the environment: account data goes to the named hosts and nowhere else.
        self._client = httpx.AsyncClient(timeout=timeout, trust_env=False, follow_redirects=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    @property
    def address(self) -> str:
        return ", ".join(host.url for host in self._hosts)

    async def describe(self) -> tuple[str, str]:
        digests: dict[str, str] = {}
        failures: list[ModelUnavailable] = []
        for host in self._hosts:
            try:
                tags = await self._call(host, "GET", "/api/tags", None, self._settings.answer_timeout_seconds)
            except ModelUnavailable as failure:
                failures.append(failure)
                continue
            digests[host.url] = _find_digest(tags, self._settings.ollama_model, host.url)
        if not digests:
            raise failures[0]
        if len(set(digests.values())) > 1:
            raise TerminalError(
                f"The hosts in OLLAMA_HOST hold different builds of {self._settings.ollama_model}: {digests}. "
                f"Run `ollama pull {self._settings.ollama_model}` on each.",
                code="model-differs",
                title="The model hosts do not agree",
            )
        return self._settings.ollama_model, next(iter(digests.values()))

    async def warm_up(self) -> None:
        """Every host loads the model; it is enough that one can. `messages: []` is Ollama's way to load only."""
        body = self._body([], seed=0, num_predict=self._settings.num_predict)
        calls = [
            self._call(host, "POST", "/api/chat", body, self._settings.load_timeout_seconds) for host in self._hosts
        ]
        results = await asyncio.gather(*calls, return_exceptions=True)
        failures = [result for result in results if isinstance(result, BaseException)]
        for failure in failures:
            if not isinstance(failure, ModelUnavailable):
                raise failure
        if len(failures) == len(results):
            raise failures[0]

    async def ask(
        self, messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any], seed: int, num_predict: int
    ) -> ModelReply:
        body = self._body(messages, seed=seed, num_predict=num_predict) | {"format": schema}
        now = asyncio.get_running_loop().time()
        host = min(self._hosts, key=lambda item: (item.rests_until > now, item.outstanding))
        try:
            answer = await self._call(host, "POST", "/api/chat", body, self._settings.answer_timeout_seconds)
        except _Aborted:
            return ModelReply("", is_done=False)
        message = answer.get("message")
        text = message.get("content") if isinstance(message, dict) else None
        if not isinstance(text, str):
            raise ModelUnavailable(f"{host.url} answered /api/chat without message.content", is_reached=True)
        return ModelReply(
            text=text,
            is_done=answer.get("done") is True,
            is_cut=answer.get("done_reason") == "length",
            prompt_tokens=_count(answer, "prompt_eval_count"),
            completion_tokens=_count(answer, "eval_count"),
            duration_ms=_count(answer, "total_duration") // 1_000_000,
        )

    def _body(self, messages: Sequence[Mapping[str, str]], *, seed: int, num_predict: int) -> dict[str, Any]:
        return {
            "model": self._settings.ollama_model,
            "messages": list(messages),
            "stream": False,
            "truncate": False,  # else an over-long prompt loses its head, silently
            "keep_alive": _KEEP_ALIVE,
            "options": {
                "temperature": self._settings.temperature,
                "num_ctx": self._settings.num_ctx,
                "num_predict": num_predict,
                "seed": seed,
            },
        }

    async def _call(
        self, host: _Host, method: str, path: str, body: dict[str, Any] | None, timeout_seconds: float
    ) -> dict[str, Any]:
        assert self._client is not None, "enter the model before asking it"
        host.outstanding += 1
        try:
            async with asyncio.timeout(timeout_seconds):  # in all: a slow drip never trips httpx's own
                timeout = httpx.Timeout(timeout_seconds, connect=_CONNECT_SECONDS)
                response = await self._client.request(method, host.url + path, json=body, timeout=timeout)
            return _parse(response, self._settings.ollama_model, host.url)
        except TimeoutError as error:
            raise self._rest(host, f"{host.url} gave no answer within {timeout_seconds:.0f} s") from error
        except httpx.HTTPError as error:
            raise self._rest(host, f"{host.url}: {type(error).__name__} {error}".strip()) from error
        except ModelUnavailable:
            self._rest(host, "")
            raise
        finally:
            host.outstanding -= 1

    def _rest(self, host: _Host, detail: str) -> ModelUnavailable:
        host.rests_until = asyncio.get_running_loop().time() + _REST_SECONDS
        return ModelUnavailable(detail)


class _Aborted(Exception):
    """The server stopped a generation that repeated itself (a 500 in newer servers, `done: false` in older ones)."""


def parse_hosts(setting: str) -> list[str]:
    """OLLAMA_HOST as base URLs. Like Ollama's own: scheme and port may be left out, 0.0.0.0 means this machine.

    Raises:
        TerminalError: `model-host-invalid`.
    """
    hosts = [_to_url(part) for part in setting.split(",") if part.strip()]
    if not hosts:
        raise _bad_host(setting)
    return list(dict.fromkeys(hosts))


def _to_url(part: str) -> str:
    text = part.strip()
    try:
        url = httpx.URL(text if "://" in text else f"http://{text}")
    except httpx.InvalidURL as error:
        raise _bad_host(part) from error
    if url.scheme not in ("http", "https") or not url.host:
        raise _bad_host(part)
    if url.port is None and "://" not in text:
        url = url.copy_with(port=_DEFAULT_PORT)
    if url.host == "0.0.0.0":  # nosec B104: read as an address to call, never bound
        url = url.copy_with(host="127.0.0.1")
    return str(url).rstrip("/")


def _bad_host(part: str) -> TerminalError:
    return TerminalError(
        f"OLLAMA_HOST={part!r} is no address. Write http://host:11434, several separated by commas.",
        code="model-host-invalid",
        title="OLLAMA_HOST can't be read",
    )


def _parse(response: httpx.Response, model: str, host: str) -> dict[str, Any]:
    if len(response.content) > _MAX_BODY_BYTES:
        raise ModelUnavailable(f"{host} answered with {len(response.content)} bytes", is_reached=True)
    try:
        content = json.loads(response.content)
    except ValueError:
        content = None
    if response.status_code == 200 and isinstance(content, dict):
        return content
    error = content.get("error") if isinstance(content, dict) else None
    if response.status_code == 500 and isinstance(error, str) and "repeat limit" in error:
        raise _Aborted
    raise to_error(response.status_code, error if isinstance(error, str) else None, response.headers, model, host)


def _find_digest(tags: Mapping[str, Any], model: str, host: str) -> str:
    """Ollama takes a name without a tag for `<name>:latest`."""
    wanted = model if ":" in model.rsplit("/", 1)[-1] else f"{model}:latest"
    listed = tags.get("models")
    for item in listed if isinstance(listed, list) else []:
        if isinstance(item, dict) and wanted in (item.get("name"), item.get("model")):
            return str(item.get("digest") or "unknown")
    raise to_error(404, f"model '{model}' not found", {}, model, host)


def _count(answer: Mapping[str, Any], key: str) -> int:
    value = answer.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
