"""Ollama's OpenAI-compatible endpoint: the same chat in other words. Source: ollama/ollama openai/openai.go."""

import json
from dataclasses import replace
from typing import Any

from tests.fakes.ollama_wire import Reply, to_json


def to_native(body: bytes) -> bytes:
    """Only what Ollama maps: `max_tokens`, temperature, seed and the schema of response_format."""
    request = json.loads(body or b"{}")
    options = {"num_predict": request.get("max_tokens", -1), "seed": request.get("seed", -1)}
    options["temperature"] = request.get("temperature", 1.0)
    native = {"model": request.get("model"), "messages": request.get("messages", []), "options": options}
    schema = request.get("response_format", {}).get("json_schema", {}).get("schema")
    return json.dumps(native | {"format": schema, "stream": request.get("stream", False)}).encode()


def to_openai_models(names: list[str]) -> Reply:
    """GET /v1/models: names without digests."""
    items = [{"id": name, "object": "model", "created": 1767225600, "owned_by": "library"} for name in names]
    return to_json({"object": "list", "data": items})


def to_openai(reply: Reply) -> Reply:
    """A native reply as /v1 gives it; what isn't JSON stays as it is, and so does a bad wire."""
    try:
        native = json.loads(reply.body)
    except ValueError:
        return reply
    if not isinstance(native, dict):
        return reply
    content = _to_error(reply.status, native["error"]) if "error" in native else _to_completion(native)
    return replace(reply, body=json.dumps(content).encode())


def _to_error(status: int, text: str) -> dict[str, Any]:
    kind = {400: "invalid_request_error", 404: "not_found_error"}.get(status, "api_error")
    return {"error": {"message": text, "type": kind, "param": None, "code": None}}


def _to_completion(native: dict[str, Any]) -> dict[str, Any]:
    choice = {"index": 0, "message": native.get("message"), "finish_reason": native.get("done_reason")}
    prompt, completion = native.get("prompt_eval_count", 0), native.get("eval_count", 0)
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1767225600,
        "model": native["model"],
        "system_fingerprint": "fp_ollama",
        "choices": [{key: value for key, value in choice.items() if value is not None}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion},
    }
