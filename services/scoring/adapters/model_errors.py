"""What model servers refuse, each as the error that names its mend."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.scoring.adapters.lead_model import ModelUnavailable
from services.scoring.adapters.model_http import Received
from shared.errors import TerminalError, TransientError

_NOT_TAKEN = frozenset({425, 429, 503})  # the request was turned away at the door, and is not at fault
_GIVEN_UP = frozenset({408, 499})
_CONTEXT_WORDS = ("exceed_context_size", "context size", "context length", "context window")
_MISSING_WORDS = ("not found", "does not exist")
OF_THE_ENDPOINT = frozenset({"model-endpoint-missing", "model-missing", "model-key-refused", "model-access-refused"})
"""Codes that tell of the host, whatever it was asked."""


@dataclass(frozen=True)
class ServerWords:
    """What an operator is told about this kind of server. `install` may hold {model}."""

    kind: str
    install: str
    address: str
    context: str


OLLAMA = ServerWords(
    kind="Ollama",
    install="Run `ollama pull {model}` there, or set OLLAMA_MODEL to one that `ollama list` shows.",
    address="OLLAMA_HOST must be its base URL, such as http://127.0.0.1:11434",
    context="Raise GTM_MODEL_NUM_CTX or shorten the prompt file.",
)
OPENAI = ServerWords(
    kind="OpenAI-compatible",
    install="Start it with that model, or set OLLAMA_MODEL to one that its /v1/models lists.",
    address="With GTM_MODEL_API=openai, OLLAMA_HOST must be the URL before /v1, such as http://127.0.0.1:8000",
    context="Start the server with a larger context, or shorten the prompt file.",
)


def to_error(received: Received, text: str | None, model: str, words: ServerWords) -> ModelUnavailable | TerminalError:
    """`text` is the error that the JSON body names, None where the body was something else (a proxy's page)."""
    host, status = received.host, received.status
    said = f"{host} answered {status}: {(text or 'no JSON error').strip()[:300]}"
    if status >= 500 or status in _NOT_TAKEN | _GIVEN_UP:
        return ModelUnavailable(
            said,
            is_reached=status == 500 and text is not None,  # the server itself, about this request
            is_sent=status not in _NOT_TAKEN,
            retry_after=_seconds(received.headers),
        )
    if status == 200 and text is not None:  # gateways that have sent their headers before they knew
        return ModelUnavailable(said, is_reached=True)
    if status == 403 and text is None:
        return TerminalError(
            f"{said}. That is what Ollama says where it listens on loopback alone and is called by another name: set "
            "OLLAMA_HOST=0.0.0.0 for the server itself, or call it by 127.0.0.1. A proxy or firewall may say so too.",
            code="model-access-refused",
            title="The model server refuses this caller",
        )
    if status in (401, 403):
        return TerminalError(
            f"{said}. Set GTM_MODEL_API_KEY to a key that this server accepts.",
            code="model-key-refused",
            title="The model server refuses the key",
        )
    if status == 404 and text is not None and any(word in text for word in _MISSING_WORDS):
        return to_missing(host, model, words)
    if status in (400, 413) and text is not None and any(word in text for word in _CONTEXT_WORDS):
        return to_too_long(said, words)
    if status in (404, 405) or status < 400 or text is None:
        return TerminalError(
            f"{said}. That is no {words.kind} server: {words.address}.",
            code="model-endpoint-missing",
            title=f"OLLAMA_HOST is not an {words.kind} server",
        )
    return TerminalError(said, code="model-request-refused", title="The model server refused the request")


def to_missing(host: str, model: str, words: ServerWords) -> TerminalError:
    """The server has other models."""
    return TerminalError(
        f"The model server at {host} does not have the model {model}. {words.install.format(model=model)}",
        code="model-missing",
        title="The model is not installed",
        model=model,
    )


def to_too_long(said: str, words: ServerWords) -> TerminalError:
    """The prompt has more tokens than the model takes."""
    return TerminalError(
        f"The prompt exceeds the model's context. {words.context} {said}",
        code="model-context-exceeded",
        title="The prompt does not fit the model",
    )


def to_differing(model: str, digests: Mapping[str, str], words: ServerWords) -> TerminalError:
    """Answers of one job must have one provenance."""
    held = ", ".join(f"{host}={digest}" for host, digest in sorted(digests.items()))
    return TerminalError(
        f"The hosts in OLLAMA_HOST hold different builds of {model}: {held}. "
        f"Install the same one on each ({words.install.format(model=model)})",
        code="model-differs",
        title="The model hosts do not agree",
    )


def to_unreachable(address: str, failure: ModelUnavailable) -> TransientError:
    """The one message for a server that stays away."""
    return TransientError(
        f"The model server can't be used. OLLAMA_HOST is {address}; last failure: {failure.detail}. Start it "
        "(`ollama serve`), or correct OLLAMA_HOST. Inside a container localhost is the container itself: use "
        "http://host.docker.internal:11434 there. What was scored so far is kept.",
        code="model-unreachable",
        title="The model server can't be reached",
    )


def _seconds(headers: Mapping[str, str]) -> float | None:
    header = headers.get("retry-after")
    try:
        return max(0.0, float(header)) if header else None
    except ValueError:
        return None
