"""The hosts of one model: who is asked next, who is left out, and how a host that is back is found.

Lives inside one event loop; nothing here needs a lock, since nothing between two awaits is interrupted.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import httpx

from services.scoring.adapters.lead_model import ModelUnavailable
from services.scoring.domain.patience import to_probe_delay
from shared.errors import TerminalError
from shared.logging import get_logger

log = get_logger(__name__)
_DEFAULT_PORT = 11434


class HostCheck(Protocol):
    """What brings a host back: both raise ModelUnavailable or TerminalError."""

    async def check(self, url: str) -> None:
        """It answers, and has the model."""
        ...

    async def load(self, url: str) -> None:
        """The model is in its memory; may take minutes."""
        ...


@dataclass(eq=False)
class Host:
    """`failures` counts questions in a row; `failure` is why it is left out, None while it is not."""

    url: str
    outstanding: int = 0
    failures: int = 0
    failure: ModelUnavailable | TerminalError | None = None
    is_loading: bool = False


@dataclass
class Turn:
    """One question's way through the hosts: what it has waited (seconds), and where it failed last."""

    waited: float = 0.0
    failed_at: Host | None = None


class ModelHosts:
    """Questions go to the host with the fewest outstanding, at most `limit` to each.

    A host that fails is left out and looked at until it answers and has loaded the model again; the wait for one is at
    most `patience_seconds` a question, not counting a load, and the loads have their own time limit.
    """

    def __init__(self, urls: Sequence[str], *, limit: int, patience_seconds: float, backoff_seconds: float) -> None:
        self._hosts = [Host(url) for url in urls]
        self._limit = limit
        self._patience_seconds = patience_seconds
        self._backoff_seconds = backoff_seconds
        self._changed = asyncio.Event()
        self._recoveries: dict[Host, asyncio.Task[None]] = {}

    @property
    def urls(self) -> list[str]:
        return [host.url for host in self._hosts]

    @property
    def slots(self) -> int:
        return self._limit * len(self._hosts)

    @property
    def usable(self) -> list[Host]:
        """Those that are not left out."""
        return [host for host in self._hosts if host.failure is None]

    async def take(self, turn: Turn) -> Host:
        """A host with a free slot, which `give_back` ends.

        Raises:
            ModelUnavailable, TerminalError: every host is left out, and patience is at its end. The second where one of
                them is back without the model, or with another build of it.
        """
        while True:
            free = [host for host in self.usable if host.outstanding < self._limit]
            if free:
                host = min(free, key=lambda item: (item is turn.failed_at, item.outstanding))
                host.outstanding += 1
                return host
            await self._wait(turn)

    def give_back(self, host: Host) -> None:
        """The slot is free again."""
        host.outstanding -= 1
        self._wake()

    def leave_out(self, host: Host, failure: ModelUnavailable, api: HostCheck) -> None:
        """Ask it nothing until it is well again; whoever waits for its slots looks elsewhere."""
        if host.failure is not None:
            return
        host.failures += 1
        host.failure = failure
        log.warning("model_host_left_out", host=host.url, reason=failure.detail)
        self._recoveries[host] = asyncio.create_task(self._recover(host, failure, api))
        self._wake()

    async def close(self) -> None:
        """Look after no host any more."""
        recoveries, self._recoveries = list(self._recoveries.values()), {}
        for recovery in recoveries:
            recovery.cancel()
        await asyncio.gather(*recoveries, return_exceptions=True)

    async def _recover(self, host: Host, failure: ModelUnavailable, api: HostCheck) -> None:
        looks, retry_after = 0, failure.retry_after
        while host.failure is not None:
            await asyncio.sleep(to_probe_delay(self._backoff_seconds, host.failures, looks, retry_after))
            looks += 1
            try:
                await api.check(host.url)
                host.is_loading = True
                await api.load(host.url)
                host.failure = None
            except (ModelUnavailable, TerminalError) as again:
                host.failure = again
            finally:
                host.is_loading = False
                self._wake()
        log.info("model_host_back", host=host.url, looks=looks)

    async def _wait(self, turn: Turn) -> None:
        """Until something changes; only time without any usable or loading host counts."""
        if self.usable or any(host.is_loading for host in self._hosts):
            await self._changed.wait()
            return
        left = self._patience_seconds - turn.waited
        if left <= 0:
            raise self._last_failure()
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with asyncio.timeout(left):
                await self._changed.wait()
        except TimeoutError:
            pass  # the next turn of the caller's loop tells what that means
        turn.waited += loop.time() - started

    def _last_failure(self) -> ModelUnavailable | TerminalError:
        """Of the hosts, not of a question: a load that fails is no answer to one."""
        failures = [host.failure for host in self._hosts if host.failure is not None]
        failure = min(failures, key=lambda one: isinstance(one, ModelUnavailable))
        return ModelUnavailable(failure.detail) if isinstance(failure, ModelUnavailable) else failure

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


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
    if url.userinfo:
        raise _bad_host("***", "It must hold no user or password, since messages show it: use GTM_MODEL_API_KEY.")
    if url.scheme not in ("http", "https") or not url.host:
        raise _bad_host(part)
    if url.port is None and "://" not in text:
        url = url.copy_with(port=_DEFAULT_PORT)
    if url.host == "0.0.0.0":  # nosec B104: read as an address to call, never bound
        url = url.copy_with(host="127.0.0.1")
    return str(url).rstrip("/")


def _bad_host(part: str, reason: str = "") -> TerminalError:
    return TerminalError(
        f"OLLAMA_HOST={part!r} is no address. {reason or 'Write http://host:11434, several separated by commas.'}",
        code="model-host-invalid",
        title="OLLAMA_HOST can't be read",
    )
