"""What the flow asks of a language model server, whichever it is."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from services.scoring.domain.interview import ModelReply


class ModelUnavailable(Exception):
    """No answer this time: the server is away, overloaded or failed on this request. Worth another try.

    `is_reached` tells a server that answered with an error (so that this one question may be at fault) from one that
    can't be used. `is_sent`: the question may have been worked on, so that it may itself be what breaks the server.
    `retry_after` is seconds, where the server named them.
    """

    def __init__(
        self, detail: str, *, is_reached: bool = False, is_sent: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.is_reached = is_reached
        self.is_sent = is_sent or is_reached
        self.retry_after = retry_after


class LeadModel(Protocol):
    """An open connection to a model; entered once per job, inside its event loop.

    Every call waits patiently while no host can be used (GTM_MODEL_PATIENCE_SECONDS), and tries a question again on
    which a host failed (GTM_MODEL_TRIES): what it raises is final for this job.
    """

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @property
    def address(self) -> str:
        """Where it is, for messages to the operator."""
        ...

    @property
    def slots(self) -> int:
        """Questions that its hosts answer at once; more of them only wait."""
        ...

    @property
    def is_away(self) -> bool:
        """No host can be used now: whoever asks, waits."""
        ...

    async def describe(self) -> tuple[str, str]:
        """Name and digest of the model's files.

        Raises:
            ModelUnavailable: no server answered.
            TerminalError: `model-missing`, `model-endpoint-missing`, `model-key-refused`, `model-differs`.
        """
        ...

    async def warm_up(self) -> None:
        """Load the model, which may take minutes; raises as `describe`."""
        ...

    async def ask(
        self, messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any], seed: int, num_predict: int
    ) -> ModelReply:
        """One answer.

        Raises:
            ModelUnavailable: `is_reached` says whether it was this question or the server.
            TerminalError: as `describe`, and `model-context-exceeded`, `model-request-refused`.
        """
        ...
