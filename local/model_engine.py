"""llama.cpp in this process, through `xllamacpp`: one blocking call per answer, constrained by a JSON schema."""

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import xllamacpp

# Idle prompts that llama.cpp keeps beside the slots. Its default of 8 GB is a server's, not a laptop's.
_PROMPT_CACHE_MIB = 64
_ERRORS_ONLY = 1
_TOO_LONG = "exceed_context_size_error"

# A sentinel in front of the schema: an answer that starts with it proves that the grammar was compiled.
_SENTINEL = "OK"


class EngineError(Exception):
    """What llama.cpp refused. `status` and `body` have the shape that its own server answers with."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        super().__init__(str(body))
        self.status = status
        self.body = body

    @property
    def is_too_long(self) -> bool:
        """The prompt has more tokens than the window."""
        return bool(self.body["error"]["type"] == _TOO_LONG)


@dataclass(frozen=True)
class Completion:
    """How an answer ended. Prompt tokens include cached ones; durations are of computing, not of waiting."""

    done_reason: str
    prompt_tokens: int
    prompt_ms: float
    completion_tokens: int
    completion_ms: float


def to_params(path: Path, *, slots: int, context_tokens: int, threads: int) -> xllamacpp.CommonParams:
    """llama.cpp's settings for this model on a laptop."""
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_parallel = slots
    params.n_ctx = slots * context_tokens
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.cache_ram_mib = _PROMPT_CACHE_MIB
    params.verbosity = _ERRORS_ONLY
    params.fit_params = params.ui = params.endpoint_slots = False
    params.warmup = True
    return params


class LlamaEngine:
    """A loaded model that gives `slots` answers at once, `context_tokens` each. Calls may come from any thread."""

    def __init__(self, path: Path, *, slots: int, context_tokens: int, threads: int) -> None:
        params = to_params(path, slots=slots, context_tokens=context_tokens, threads=threads)
        with tempfile.TemporaryDirectory(prefix="gtm-model-") as folder:
            # llama.cpp brings its own HTTP server. Nobody shall reach it, so it gets a socket that is unlinked at once.
            socket = os.path.join(folder, "unused.sock")
            params.hostnames = [socket]
            self._server = xllamacpp.Server(params)
            os.unlink(socket)
        self._accepts = lru_cache(maxsize=64)(self._probe)

    def complete(self, body: Mapping[str, Any], on_text: Callable[[str], bool]) -> Completion | None:
        """Block until the answer ends; `on_text` gets each piece and stops the answer by returning True.

        Returns None when `on_text` stopped it.

        Raises:
            EngineError: the prompt doesn't fit, or an option has the wrong type.
        """
        last: dict[str, Any] = {}

        def on_chunk(chunk: dict[str, Any]) -> bool:
            last.clear()
            last.update(chunk)
            text = chunk["choices"][0]["text"] if chunk.get("choices") else ""
            return on_text(text) if text else False

        self._server.handle_completions({**body, "stream": True, "cache_prompt": True}, on_chunk)
        if "error" in last:
            raise EngineError(int(last["error"]["code"]), last)
        if "timings" not in last:
            return None
        return _to_completion(last)

    def require_schema(self, schema: Mapping[str, Any]) -> None:
        """Refuse what the grammar compiler can't honour: llama.cpp only logs it, and answers unconstrained.

        Raises:
            EngineError: 400; the compiler's reason is in the log.
        """
        if not self._accepts(json.dumps(schema)):
            message = "failed to compile the JSON schema in format; the server's log names the keyword"
            raise EngineError(400, {"error": {"code": 400, "message": message, "type": "invalid_request_error"}})

    def require_window(self, prompt: str, tokens: int) -> None:
        """Refuse a prompt longer than a caller's own, smaller window, with the words for the whole one.

        Costs nothing twice: what is evaluated here stays in the slot's cache for the answer.

        Raises:
            EngineError: 400, `is_too_long`.
        """
        if len(prompt.encode()) <= tokens:  # a token is at least a byte
            return
        completion = self.complete({"prompt": prompt, "n_predict": 0}, lambda _: False)
        if completion is not None and completion.prompt_tokens > tokens:
            count = completion.prompt_tokens
            message = (
                f"request ({count} tokens) exceeds the available context size ({tokens} tokens), try increasing it"
            )
            raise EngineError(
                400,
                {
                    "error": {
                        "code": 400,
                        "message": message,
                        "type": _TOO_LONG,
                        "n_prompt_tokens": count,
                        "n_ctx": tokens,
                    }
                },
            )

    def _probe(self, schema: str) -> bool:
        grammar = f'%llguidance {{}}\nstart: "{_SENTINEL}" body\nbody: %json {schema}'
        answer = self._server.handle_completions({"prompt": "x", "max_tokens": 2, "grammar": grammar})
        return str(answer["choices"][0]["text"]).startswith(_SENTINEL)


def _to_completion(last: Mapping[str, Any]) -> Completion:
    timings, usage = last["timings"], last["usage"]
    return Completion(
        done_reason=str(last["choices"][0]["finish_reason"]),
        prompt_tokens=int(usage["prompt_tokens"]),
        prompt_ms=float(timings["prompt_ms"]),
        completion_tokens=int(usage["completion_tokens"]),
        completion_ms=float(timings["predicted_ms"]),
    )
