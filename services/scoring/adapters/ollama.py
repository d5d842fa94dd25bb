"""Ollama's native API behind `LeadModel`.

Source: ollama/ollama docs/api.md and server/routes.go (July 2026); the faults that are told apart here are those of its
issue tracker. Options are identical on every call but for seed and length: any other difference in them has
the server unload and reload the model.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from services.scoring.adapters.hosted_model import LISTING_SECONDS, HostedModel, Inquiry, to_count
from services.scoring.adapters.lead_model import ModelUnavailable
from services.scoring.adapters.model_errors import OLLAMA, to_error, to_missing, to_too_long
from services.scoring.adapters.model_http import Received
from services.scoring.domain.interview import ModelReply
from shared.errors import TerminalError

_KEEP_ALIVE = "30m"
_CHARS_A_TOKEN = 3  # prompts of English and JSON have more


class OllamaModel(HostedModel):
    """See `LeadModel`."""

    words = OLLAMA

    async def identify(self, url: str) -> str:
        received = await self.call(url, "/api/tags", None, LISTING_SECONDS)
        tags = self._require_answer(received)
        return _find_digest(tags, self._settings.ollama_model, url)

    async def load(self, url: str) -> None:
        """`messages: []` is Ollama's way to load only."""
        body = self._body([], seed=0, num_predict=self._settings.num_predict)
        self._require_answer(await self.call(url, "/api/chat", body, self._settings.load_timeout_seconds))

    async def answer(self, url: str, inquiry: Inquiry) -> ModelReply:
        body = self._body(inquiry.messages, seed=inquiry.seed, num_predict=inquiry.num_predict)
        received = await self.call(
            url, "/api/chat", body | {"format": inquiry.schema}, self._settings.answer_timeout_seconds
        )
        if received.status == 500 and "repeat limit" in (_error_text(received) or ""):
            return ModelReply("", is_done=False)  # older servers say the same by `done: false`
        answer = self._require_answer(received)
        message = answer.get("message")
        text = message.get("content") if isinstance(message, dict) else None
        if not isinstance(text, str):
            raise ModelUnavailable(f"{url} answered /api/chat without message.content", is_reached=True)
        tokens = to_count(answer, "prompt_eval_count")
        self._refuse_cut_prompt(url, inquiry, tokens)
        return ModelReply(
            text=text,
            is_done=answer.get("done") is True,
            is_cut=answer.get("done_reason") == "length",
            prompt_tokens=tokens,
            completion_tokens=to_count(answer, "eval_count"),
            duration_ms=to_count(answer, "total_duration") // 1_000_000,
        )

    def _refuse_cut_prompt(self, url: str, inquiry: Inquiry, tokens: int) -> None:
        """Servers that don't know `truncate` drop a long prompt's head without a word, and keep half a window of it."""
        window = self._settings.num_ctx
        is_long = sum(len(message["content"]) for message in inquiry.messages) > window * _CHARS_A_TOKEN
        if is_long and abs(tokens - (window // 2 + 2)) <= 1:
            raise to_too_long(f"{url} cut it to {tokens} tokens without an error.", OLLAMA)

    def _body(self, messages: Sequence[Mapping[str, str]], *, seed: int, num_predict: int) -> dict[str, Any]:
        return {
            "model": self._settings.ollama_model,
            "messages": messages,
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

    def _require_answer(self, received: Received) -> dict[str, Any]:
        if received.is_answer:
            return received.record
        raise to_error(received, _error_text(received), self._settings.ollama_model, OLLAMA)


def _error_text(received: Received) -> str | None:
    error = received.record.get("error")
    return error if isinstance(error, str) else None


def _find_digest(tags: Mapping[str, Any], model: str, host: str) -> str:
    """Ollama takes a name without a tag for `<name>:latest`."""
    wanted = model if ":" in model.rsplit("/", 1)[-1] else f"{model}:latest"
    listed = tags.get("models")
    for item in listed if isinstance(listed, list) else []:
        if isinstance(item, dict) and wanted in (item.get("name"), item.get("model")):
            return _require_digest(item, model, host)
    raise to_missing(host, model, OLLAMA)


def _require_digest(item: Mapping[str, Any], model: str, host: str) -> str:
    """Raises TerminalError: without a digest no row could say which build of the model it comes from."""
    if isinstance(digest := item.get("digest"), str) and digest:
        return digest
    raise TerminalError(
        f"{host} lists the model {model} without a digest. That is no Ollama server: {OLLAMA.address}.",
        code="model-endpoint-missing",
        title="OLLAMA_HOST is not an Ollama server",
    )
