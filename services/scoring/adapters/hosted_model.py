"""A model on one host or several: the retries of a question, whatever API the hosts speak."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from services.scoring.adapters.lead_model import ModelUnavailable
from services.scoring.adapters.model_errors import ServerWords, to_differing
from services.scoring.adapters.model_hosts import Host, ModelHosts, Turn, parse_hosts
from services.scoring.adapters.model_http import ModelHttp, Received
from services.scoring.domain.interview import ModelReply
from services.scoring.domain.patience import to_delay
from services.scoring.settings import ScoringSettings


@dataclass(frozen=True)
class Inquiry:
    """What one host is asked."""

    messages: Sequence[Mapping[str, str]]
    schema: Mapping[str, Any]
    seed: int
    num_predict: int


class HostedModel(ABC):
    """See `LeadModel`. A kind of server says how it is identified, made to load its model, and asked."""

    words: ServerWords

    def __init__(self, settings: ScoringSettings) -> None:
        self._settings = settings
        self._hosts = ModelHosts(
            parse_hosts(settings.ollama_host),
            limit=settings.num_parallel,
            patience_seconds=settings.patience_seconds,
            backoff_seconds=settings.backoff_seconds,
        )
        self._http: ModelHttp | None = None
        self._digests: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        self._http = ModelHttp(self._settings.model_api_key)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._hosts.close()
        if self._http is not None:
            await self._http.close()
            self._http = None

    @property
    def address(self) -> str:
        return ", ".join(self._hosts.urls)

    @property
    def slots(self) -> int:
        return self._hosts.slots

    @property
    def is_away(self) -> bool:
        return not self._hosts.usable

    async def describe(self) -> tuple[str, str]:
        await self._on_each(self.check)
        return self._settings.ollama_model, next(iter(self._digests.values()))

    async def warm_up(self) -> None:
        """Every host loads the model; it is enough that one can."""
        await self._on_each(self.load)

    async def ask(
        self, messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any], seed: int, num_predict: int
    ) -> ModelReply:
        inquiry, turn, failures = Inquiry(messages, schema, seed, num_predict), Turn(), 0
        while True:
            host = await self._hosts.take(turn)
            try:
                reply = await self.answer(host.url, inquiry)
                host.failures = 0
                return reply
            except ModelUnavailable as raised:
                failure, turn.failed_at = raised, host
                if not failure.is_reached:
                    self._hosts.leave_out(host, failure, self)
            finally:
                self._hosts.give_back(host)
            failures += failure.is_sent
            if failures >= self._settings.tries:
                raise ModelUnavailable(failure.detail, is_reached=True) from failure
            if failure.is_reached:
                await asyncio.sleep(to_delay(self._settings.backoff_seconds, failures, failure.retry_after))

    async def check(self, url: str) -> None:
        """It has the model, and the same build of it as the others have and as it had before."""
        digest = await self.identify(url)
        if any(known != digest for known in self._digests.values()):
            raise to_differing(self._settings.ollama_model, {**self._digests, url: digest}, self.words)
        self._digests[url] = digest

    @abstractmethod
    async def identify(self, url: str) -> str:
        """The digest of the host's model. Raises ModelUnavailable, or TerminalError where it hasn't the model."""

    @abstractmethod
    async def load(self, url: str) -> None:
        """Have the host load the model. Raises as `identify`."""

    @abstractmethod
    async def answer(self, url: str, inquiry: Inquiry) -> ModelReply:
        """One host, one try."""

    async def call(self, url: str, path: str, body: Mapping[str, Any] | None, timeout_seconds: float) -> Received:
        """See `ModelHttp.call`."""
        assert self._http is not None, "enter the model before asking it"
        return await self._http.call(url, path, body, timeout_seconds)

    async def _on_each(self, work: Any) -> None:
        """Hosts that can't be used are left out; patience is for when none can."""
        hosts = self._hosts.usable
        results = await asyncio.gather(*(work(host.url) for host in hosts), return_exceptions=True)
        for host, result in zip(hosts, results, strict=True):
            self._sort(host, result)
        self._hosts.give_back(await self._hosts.take(Turn()))

    def _sort(self, host: Host, result: BaseException | None) -> None:
        if isinstance(result, ModelUnavailable):
            self._hosts.leave_out(host, result, self)
        elif result is not None:
            raise result


def to_count(answer: Mapping[str, Any], key: str) -> int:
    """A counter that a server may leave out."""
    value = answer.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
