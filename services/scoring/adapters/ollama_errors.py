"""Ollama's refusals, each as the error that names its mend."""

from collections.abc import Mapping

from services.scoring.adapters.lead_model import ModelUnavailable
from shared.errors import TerminalError, TransientError

_RETRIED = frozenset({408, 425, 429, 499})
_CONTEXT_WORDS = ("exceed_context_size", "context size", "context length", "context window")


def to_error(
    status: int, text: str | None, headers: Mapping[str, str], model: str, host: str
) -> ModelUnavailable | TerminalError:
    """`text` is the JSON body's `error`, None where the body was something else (a proxy's page, a bare 404)."""
    said = f"{host} answered {status}: {(text or 'no JSON error').strip()[:300]}"
    if status >= 500 or status in _RETRIED:
        is_fault = status == 500 and text is not None  # Ollama itself, about this request
        return ModelUnavailable(said, is_reached=is_fault, retry_after=_seconds(headers.get("retry-after")))
    if status == 404 and text is not None and "not found" in text:
        return TerminalError(
            f"The model server at {host} does not have the model {model}. Run `ollama pull {model}` there, or set "
            "OLLAMA_MODEL to one that `ollama list` shows.",
            code="model-missing",
            title="The model is not installed",
            model=model,
        )
    if status == 400 and text is not None and any(word in text for word in _CONTEXT_WORDS):
        return TerminalError(
            f"The prompt exceeds the model's context. Raise GTM_MODEL_NUM_CTX or shorten the prompt file. {said}",
            code="model-context-exceeded",
            title="The prompt does not fit the model",
        )
    if status in (404, 405) or status < 300 or text is None:
        return TerminalError(
            f"{said}. That is no Ollama server: OLLAMA_HOST must be its base URL, such as http://127.0.0.1:11434.",
            code="model-endpoint-missing",
            title="OLLAMA_HOST is not an Ollama server",
        )
    return TerminalError(said, code="model-request-refused", title="The model server refused the request")


def to_unreachable(address: str, failure: ModelUnavailable) -> TransientError:
    """The one message for a server that stays away."""
    return TransientError(
        f"The model server can't be used. OLLAMA_HOST is {address}; last failure: {failure.detail}. Start it "
        "(`ollama serve`), or correct OLLAMA_HOST. Inside a container localhost is the container itself: use "
        "http://host.docker.internal:11434 there. What was scored so far is kept.",
        code="model-unreachable",
        title="The model server can't be reached",
    )


def _seconds(header: str | None) -> float | None:
    try:
        return max(0.0, float(header)) if header else None
    except ValueError:
        return None
