"""A model on one host or several: the retries of a question, whatever API the hosts speak."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from services.scoring.adapters.lead_model import ModelUnavailable
from services.scoring.adapters.model_addresses import parse_hosts
from services.scoring.adapters.model_errors import OF_THE_ENDPOINT, ServerWords, to_differing
from services.scoring.adapters.model_hosts import Host, ModelHosts, Turn
from services.scoring.adapters.model_http import ModelHttp, Received
from services.scoring.domain.interview import ModelReply
from services.scoring.domain.patience import to_delay
from services.scoring.settings import ScoringSettings
from shared.errors import TerminalError

LISTING_SECONDS: Final = 5.0  # a look at what a host has costs it nothing
_GRACE_SECONDS: Final = 1.0  # for the others, once one host is ready
_FAILURES_IN_COMPANY: Final = 2


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
        self._has_answered = False

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
        await self._on_each(self.check, is_load=False)
        return self._settings.ollama_model, next(iter(self._digests.values()))

    async def warm_up(self) -> None:
        """Every host loads the model; it is enough that one can."""
        await self._on_each(self.load, is_load=True)

    async def ask(
        self, messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any], seed: int, num_predict: int
    ) -> ModelReply:
        """What breaks a host fails all questions there. So a question that has failed twice in company has its other
        tries alone, and none is given up for what happened in company."""
        inquiry, failures = Inquiry(messages, schema, seed, num_predict), 0
        turn = Turn(is_alone=self._settings.num_parallel == 1)
        while True:
            host = await self._hosts.take(turn)
            try:
                reply = await self.answer(host.url, inquiry)
                host.failures, self._has_answered = 0, True
                return reply
            except ModelUnavailable as raised:
                failure, turn.failed_at = raised, host
                if not failure.is_reached:
                    self._hosts.leave_out(host, failure, self)
            except TerminalError as error:
                failure, turn.failed_at = self._doubt(host, error, failures), host
            finally:
                self._hosts.give_back(host, turn)
            if failure.is_sent:
                failures, turn.is_alone = self._count(failures, turn)
            if failures >= self._settings.tries:
                raise ModelUnavailable(failure.detail, is_reached=True) from failure
            if failure.is_reached:
                await asyncio.sleep(to_delay(self._settings.backoff_seconds, max(1, failures), failure.retry_after))

    def _count(self, failures: int, turn: Turn) -> tuple[int, bool]:
        """The failures so far with one more, and whether the next try must be alone."""
        most = self._settings.tries if turn.is_alone else self._settings.tries - 1
        count = min(failures + 1, most)
        return count, turn.is_alone or count >= min(_FAILURES_IN_COMPANY, most)

    def _doubt(self, host: Host, error: TerminalError, failures: int) -> ModelUnavailable:
        """A host that has been found well may say something that no such server says: a proxy in front of it while it
        restarts, a body cut off. A look at it tells (`check`). Raises `error` where nothing else ever came."""
        is_last = failures + 1 >= self._settings.tries and not self._has_answered
        if error.code not in OF_THE_ENDPOINT or host.url not in self._digests or is_last:
            raise error
        failure = ModelUnavailable(error.detail, is_sent=True)
        self._hosts.leave_out(host, failure, self)
        return failure

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

    async def _on_each(self, work: Callable[[str], Coroutine[Any, Any, None]], *, is_load: bool) -> None:
        """Hosts that can't be used are left out, and so are those that take long while another is ready; patience is
        for when none is, and its clock runs already."""
        started = (loop := asyncio.get_running_loop()).time()
        tasks = {asyncio.create_task(work(host.url)): host for host in self._hosts.usable}
        try:
            late = await _wait_for_one(tasks)
            for task, host in tasks.items():
                if task in late and is_load:
                    self._hosts.go_on_without(host, task, self)
                elif task in late:
                    task.cancel()
                    self._hosts.leave_out(host, ModelUnavailable(f"{host.url} gave no answer yet"), self)
                else:
                    self._sort(host, task)
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
        turn = Turn(waited=loop.time() - started)
        self._hosts.give_back(await self._hosts.take(turn), turn)

    def _sort(self, host: Host, task: "asyncio.Task[None]") -> None:
        if isinstance(failure := task.exception(), ModelUnavailable):
            self._hosts.leave_out(host, failure, self)
        elif failure is not None:
            raise failure


async def _wait_for_one(tasks: Collection["asyncio.Task[None]"]) -> set["asyncio.Task[None]"]:
    """Until one has succeeded and the others had a moment more: those that go on."""
    late = set(tasks)
    while late:
        done, late = await asyncio.wait(late, return_when=asyncio.FIRST_COMPLETED)
        if any(task.exception() is None for task in done):
            break
    return (await asyncio.wait(late, timeout=_GRACE_SECONDS))[1] if late else late


def to_count(answer: Mapping[str, Any], key: str) -> int:
    """A counter that a server may leave out."""
    value = answer.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
