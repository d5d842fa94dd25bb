"""Ollama's words: requests, answers and errors of its HTTP API, and ChatML, the prompt format of SmolLM2. No I/O.

Source: ollama/ollama docs/api.md, api/types.go and server/routes.go as of 0.33. What isn't here isn't served.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from local.model_engine import Completion

VERSION = "0.33.0"
DEFAULT_KEEP_ALIVE = timedelta(minutes=5)

# What the model's own template says where a conversation brings no system message.
_DEFAULT_SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"


class OllamaError(Exception):
    """An answer other than 200: the status and the text of `{"error": ...}`."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class Message(_Wire):
    """One turn of the conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    images: list[str] | None = None


class Options(_Wire):
    """Ollama's sampling defaults. `num_ctx` may lower the prompt's limit, never raise it: the window is fixed."""

    num_ctx: int | None = None
    num_predict: int = -1
    temperature: float = 0.8
    seed: int = -1
    top_k: int = 40
    top_p: float = 0.9
    min_p: float = 0.0
    typical_p: float = 1.0
    repeat_last_n: int = 64
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    stop: list[str] = Field(default_factory=list)


class ChatRequest(_Wire):
    """Body of POST /api/chat. `think` and `tools` are refused, as Ollama does for a model that has neither."""

    model: str = ""
    messages: list[Message] = Field(default_factory=list)
    stream: bool = True
    format: str | dict[str, Any] | None = None
    keep_alive: int | float | str | None = None
    tools: list[Any] | None = None
    think: bool | str | None = None
    truncate: bool = True
    options: dict[str, Any] | None = None


def parse_chat_request(raw: bytes) -> ChatRequest:
    """Raises OllamaError 400 for what isn't a chat request."""
    body = parse_object(raw)
    try:
        return ChatRequest.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise OllamaError(400, f"json: cannot unmarshal field ChatRequest.{field}: {first['msg']}") from error


def parse_object(raw: bytes) -> dict[str, Any]:
    """Raises OllamaError 400 for an empty body and for anything but a JSON object."""
    if not raw.strip():
        raise OllamaError(400, "missing request body")
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise OllamaError(400, f"invalid JSON: {error}") from error
    if not isinstance(body, dict):
        raise OllamaError(400, f"json: cannot unmarshal {type(body).__name__} into an object")
    return body


def parse_options(options: dict[str, Any] | None) -> Options:
    """Raises OllamaError 500, Ollama's own status for an option of the wrong type."""
    try:
        return Options.model_validate(options or {})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        kinds = {"int_type": "integer", "int_from_float": "integer", "float_type": "float32", "list_type": "array"}
        kind = kinds.get(first["type"], "string")
        raise OllamaError(500, f'option "{first["loc"][0]}" must be of type {kind}') from error


def parse_format(value: str | dict[str, Any] | None) -> dict[str, Any] | None:
    """The JSON schema that binds the answer, None for free text. Raises OllamaError 500 for another word than "json".

    Whitespace between tokens is fixed: where it is free, a small model fills its whole budget with it.
    """
    if value is None or value == "":
        return None
    if value == "json":
        value = {"type": "object"}
    if isinstance(value, str):
        raise OllamaError(500, f'invalid format: "{value}"; expected "json" or a valid JSON Schema object')
    return {**value, "x-guidance": {"whitespace_flexible": False}}


def to_chatml(messages: list[Message]) -> str:
    """The prompt, up to where the assistant speaks. `<|` in a message is split, so that no text forges a turn."""
    turns = [(message.role, message.content.replace("<|", "< |")) for message in messages]
    if not turns or turns[0][0] != "system":
        turns.insert(0, ("system", _DEFAULT_SYSTEM))
    spoken = "".join(f"<|im_start|>{role}\n{content}<|im_end|>\n" for role, content in turns)
    return f"{spoken}<|im_start|>assistant\n"


def to_completion_body(prompt: str, options: Options, schema: dict[str, Any] | None) -> dict[str, Any]:
    """The same request in llama.cpp's words."""
    body: dict[str, Any] = {
        "prompt": prompt,
        "n_predict": options.num_predict,
        "temperature": options.temperature,
        "seed": options.seed,
        "top_k": options.top_k,
        "top_p": options.top_p,
        "min_p": options.min_p,
        "typical_p": options.typical_p,
        "repeat_last_n": options.repeat_last_n,
        "repeat_penalty": options.repeat_penalty,
        "presence_penalty": options.presence_penalty,
        "frequency_penalty": options.frequency_penalty,
        "stop": options.stop,
    }
    return body if schema is None else {**body, "json_schema": schema}


def parse_keep_alive(value: int | float | str | None) -> timedelta:
    """Ollama's durations: seconds as a number, `"10m"` as text, negative for ever. Raises OllamaError 400."""
    if value is None:
        return DEFAULT_KEEP_ALIVE
    if isinstance(value, str):
        units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
        unit = next((unit for unit in units if value.endswith(unit) and _is_number(value.removesuffix(unit))), None)
        if unit is None:
            raise OllamaError(400, f'time: invalid duration "{value}"')
        value = float(value.removesuffix(unit)) * units[unit]
    return timedelta(seconds=value) if value >= 0 else timedelta(days=365 * 100)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def to_chunk(model: str, content: str) -> dict[str, Any]:
    """One piece of a streamed answer."""
    return {
        "model": model,
        "created_at": to_time(datetime.now(UTC)),
        "message": {"role": "assistant", "content": content},
        "done": False,
    }


def to_final(model: str, content: str, completion: Completion, *, load_ns: int, total_ns: int) -> dict[str, Any]:
    """The last piece, or the whole of an answer that isn't streamed. What is missing from the total was waited."""
    return {
        **to_chunk(model, content),
        "done": True,
        "done_reason": completion.done_reason,
        "total_duration": total_ns,
        "load_duration": load_ns,
        "prompt_eval_count": completion.prompt_tokens,
        "prompt_eval_duration": int(completion.prompt_ms * 1e6),
        "eval_count": completion.completion_tokens,
        "eval_duration": int(completion.completion_ms * 1e6),
    }


def to_loaded(model: str, *, unload: bool) -> dict[str, Any]:
    """The answer to `messages: []`."""
    return {**to_chunk(model, ""), "done": True, "done_reason": "unload" if unload else "load"}


def to_time(moment: datetime) -> str:
    """RFC 3339, UTC."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
