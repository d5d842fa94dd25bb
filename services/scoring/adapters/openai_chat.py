"""OpenAI's chat API (vLLM, llama.cpp's server, LM Studio, Ollama's /v1) behind `LeadModel`.

Only what all of them take: `max_tokens` (not its successor, which Ollama ignores), a JSON schema in `response_format`,
and no option that one server alone knows. Context and prompt truncation are set where such a server is started.
"""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from services.scoring.adapters.hosted_model import LISTING_SECONDS, HostedModel, Inquiry, to_count
from services.scoring.adapters.lead_model import ModelUnavailable
from services.scoring.adapters.model_errors import OPENAI, to_error, to_missing
from services.scoring.adapters.model_http import Received
from services.scoring.domain.interview import ModelReply

# What a listing says of the model itself. Not `created`, which is the time of the call with llama.cpp and vLLM, and
# nothing of the server's own settings, such as the context.
_IDENTITY = ("id", "root", "parent", "owned_by", "meta")
_NOT_THE_MODELS = frozenset({"n_ctx"})
_NO_MESSAGE = object()
_SMALLEST = {"messages": [{"role": "user", "content": "."}], "max_tokens": 1}


class OpenAiModel(HostedModel):
    """See `LeadModel`."""

    words = OPENAI

    async def identify(self, url: str) -> str:
        """Where the listing has no digest, a hash of what it says, labelled as such: other weights under the same name
        go unnoticed then."""
        received = await self.call(url, "/v1/models", None, LISTING_SECONDS)
        listed = self._require_answer(received).get("data")
        model = self._settings.ollama_model
        for item in listed if isinstance(listed, list) else []:
            if isinstance(item, dict) and item.get("id") in (model, f"{model}:latest"):
                digest = item.get("digest")
                return digest if isinstance(digest, str) and digest else _hash_listing(item)
        raise to_missing(url, model, OPENAI)

    async def load(self, url: str) -> None:
        """One token: servers that load on demand load then."""
        body = {"model": self._settings.ollama_model, "stream": False, **_SMALLEST}
        self._require_answer(await self.call(url, "/v1/chat/completions", body, self._settings.load_timeout_seconds))

    async def answer(self, url: str, inquiry: Inquiry) -> ModelReply:
        loop = asyncio.get_running_loop()
        started = loop.time()
        received = await self.call(
            url, "/v1/chat/completions", self._body(inquiry), self._settings.answer_timeout_seconds
        )
        if received.status == 500 and "repeat limit" in (_error_text(received) or ""):
            return ModelReply("", is_done=False)
        answer = self._require_answer(received)
        choices = answer.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
        message, usage = choice.get("message"), answer.get("usage")
        text = message.get("content") if isinstance(message, dict) else _NO_MESSAGE
        if not isinstance(text, str | None):
            raise ModelUnavailable(f"{url} answered without choices[0].message.content", is_reached=True)
        usage = usage if isinstance(usage, dict) else {}
        return ModelReply(
            text=text or "",  # null by the contract: a refusal, a filter, or all tokens spent on thinking
            is_done=choice.get("finish_reason") is not None,
            is_cut=choice.get("finish_reason") == "length",
            prompt_tokens=to_count(usage, "prompt_tokens"),
            completion_tokens=to_count(usage, "completion_tokens"),
            duration_ms=round((loop.time() - started) * 1000),
        )

    def _body(self, inquiry: Inquiry) -> dict[str, Any]:
        schema = {"name": "lead_answer", "strict": True, "schema": inquiry.schema}
        return {
            "model": self._settings.ollama_model,
            "messages": inquiry.messages,
            "stream": False,
            "temperature": self._settings.temperature,
            "max_tokens": inquiry.num_predict,
            "seed": inquiry.seed,
            "response_format": {"type": "json_schema", "json_schema": schema},
        }

    def _require_answer(self, received: Received) -> dict[str, Any]:
        if received.is_answer:
            return received.record
        raise to_error(received, _error_text(received), self._settings.ollama_model, OPENAI)


def _hash_listing(item: Mapping[str, Any]) -> str:
    said = {key: item[key] for key in _IDENTITY if key in item}
    if isinstance(meta := said.get("meta"), dict):
        said["meta"] = {key: value for key, value in meta.items() if key not in _NOT_THE_MODELS}
    return f"listing:{hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()}"


def _error_text(received: Received) -> str | None:
    """OpenAI nests it, older vLLM doesn't, and gateways put a string there. llama.cpp's word for it is in `type`."""
    error = received.record.get("error", received.record if received.record.get("object") == "error" else None)
    if isinstance(error, dict):
        return " ".join(str(error[key]) for key in ("message", "type") if error.get(key)) or None
    return error if isinstance(error, str) else None
