"""The hosts of one model: who is asked next, who is left out, and how a host that is back is found.

Lives inside one event loop; nothing here needs a lock, since nothing between two awaits is interrupted.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.scoring.adapters.lead_model import ModelUnavailable
from services.scoring.domain.patience import to_probe_delay
from shared.errors import TerminalError
from shared.logging import get_logger

log = get_logger(__name__)


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
    """`failures` counts questions in a row; `failure` is why it is left out, None while it is not. `reserved_for`: the
    turn that is to have it alone, so that no other question begins there."""

    url: str
    outstanding: int = 0
    failures: int = 0
    failure: ModelUnavailable | TerminalError | None = None
    is_loading: bool = False
    reserved_for: "Turn | None" = None


@dataclass(eq=False)
class Turn:
    """One question's way through the hosts: what it has waited (seconds), and where it failed last. `is_alone`: it may
    be what breaks a host, so it gets one with no other question on it, and keeps others from it."""

    waited: float = 0.0
    failed_at: Host | None = None
    is_alone: bool = False
    lost_before: float | None = None
    """What failed loads had cost when it began to wait."""


class ModelHosts:
    """Questions go to the host with the fewest outstanding, at most `limit` to each.

    A host that fails is left out and looked at until it answers and has loaded the model again; the wait for one is at
    most `patience_seconds` a question, not counting a load that succeeds: loads have their own time limit.
    """

    def __init__(self, urls: Sequence[str], *, limit: int, patience_seconds: float, backoff_seconds: float) -> None:
        self._hosts = [Host(url) for url in urls]
        self._limit = limit
        self._patience_seconds = patience_seconds
        self._backoff_seconds = backoff_seconds
        self._changed = asyncio.Event()
        self._recoveries: dict[Host, asyncio.Task[None]] = {}
        self._lost_seconds = 0.0  # in loads that failed

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
            most = 1 if turn.is_alone else self._limit
            free = [host for host in self.usable if host.outstanding < most and host.reserved_for in (None, turn)]
            if free:
                host = min(free, key=lambda item: (item is turn.failed_at, item.outstanding))
                self._release(turn)
                host.reserved_for = turn if turn.is_alone else None
                host.outstanding += 1
                return host
            if turn.is_alone:
                self._reserve(turn)
            try:
                await self._wait(turn)
            except BaseException:
                self._release(turn)
                raise

    def give_back(self, host: Host, turn: Turn) -> None:
        """The slot is free again."""
        host.outstanding -= 1
        self._release(turn)
        self._wake()

    def _reserve(self, turn: Turn) -> None:
        """The usable host that is empty soonest lets no other question begin."""
        mine = [host for host in self.usable if host.reserved_for is turn]
        open_to_all = [host for host in self.usable if host.reserved_for is None]
        if open_to_all and not mine:
            self._release(turn)  # of a host that was lost meanwhile
            min(open_to_all, key=lambda item: item.outstanding).reserved_for = turn

    def _release(self, turn: Turn) -> None:
        for host in self._hosts:
            if host.reserved_for is turn:
                host.reserved_for = None

    def leave_out(self, host: Host, failure: ModelUnavailable, api: HostCheck) -> None:
        """Ask it nothing until it is well again; whoever waits for its slots looks elsewhere."""
        if host.failure is not None:
            return
        host.failures += 1
        host.failure = failure
        log.warning("model_host_left_out", host=host.url, reason=failure.detail)
        self._recoveries[host] = asyncio.create_task(self._recover(host, failure, api))
        self._wake()

    def go_on_without(self, host: Host, load: asyncio.Task[None], api: HostCheck) -> None:
        """It loads still, and others are ready: it is asked as soon as it is."""
        host.failure = ModelUnavailable(f"{host.url} has not loaded the model yet")
        self._recoveries[host] = asyncio.create_task(self._recover(host, host.failure, api, load))

    async def close(self) -> None:
        """Look after no host any more."""
        recoveries, self._recoveries = list(self._recoveries.values()), {}
        for recovery in recoveries:
            recovery.cancel()
        await asyncio.gather(*recoveries, return_exceptions=True)

    async def _recover(
        self, host: Host, failure: ModelUnavailable, api: HostCheck, begun: asyncio.Task[None] | None = None
    ) -> None:
        looks, retry_after = 0, failure.retry_after
        if begun is not None:
            await self._load(host, begun)
        while host.failure is not None:
            await asyncio.sleep(to_probe_delay(self._backoff_seconds, host.failures, looks, retry_after))
            looks += 1
            try:
                await api.check(host.url)
            except (ModelUnavailable, TerminalError) as again:
                host.failure = again
                self._wake()
                continue
            await self._load(host, api.load(host.url))
        log.info("model_host_back", host=host.url, looks=looks)

    async def _load(self, host: Host, load: Awaitable[None]) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        host.is_loading = True
        try:
            await load
            host.failure = None
        except (ModelUnavailable, TerminalError) as again:
            host.failure = again
            self._lost_seconds += loop.time() - started
        finally:
            host.is_loading = False
            self._wake()

    async def _wait(self, turn: Turn) -> None:
        """Until something changes. Time without any usable or loading host counts, and that of loads that failed: one
        that never succeeds would hold the job for ever."""
        if turn.lost_before is None:
            turn.lost_before = self._lost_seconds
        if self.usable or any(host.is_loading for host in self._hosts):
            await self._changed.wait()
            return
        left = self._patience_seconds - turn.waited - (self._lost_seconds - turn.lost_before)
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
