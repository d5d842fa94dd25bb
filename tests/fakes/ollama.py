"""Ollama as its documented contract has it, on a free loopback port, with the faults that a test asks for.

Stands in for failures that a real server can't be made to show, and for one whose speed is known. What it answers by
default is derived from the account in the prompt, so that claims agree with the data. Source: ollama/ollama
docs/api.md, server/routes.go, server/sched.go.
"""

import asyncio
import json
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from tests.fakes.ollama_faults import (
    FAULTS,
    LLAMA_CONTEXT_ERROR,
    PITCH,
    Fault,
    account_of,
    answer_for,
    answers,
    error,
    good,
    says,
)
from tests.fakes.ollama_runner import Busy, Runner
from tests.fakes.ollama_v1 import to_native, to_openai, to_openai_models
from tests.fakes.ollama_wire import Reply, WireServer, to_json

__all__ = [
    "FAULTS",
    "LLAMA_CONTEXT_ERROR",
    "PITCH",
    "FakeOllama",
    "Fault",
    "Reply",
    "account_of",
    "answer_for",
    "answers",
    "error",
    "good",
    "says",
    "to_json",
]
_PLAIN = {"Content-Type": "text/plain"}
_NDJSON = {"Content-Type": "application/x-ndjson"}
_CHARS_A_TOKEN = 4


def _nothing(_: dict[str, Any]) -> None:
    pass


class FakeOllama(WireServer):
    """`script` holds the next replies to chats (empty: `default`); `chats` what was asked. A context manager.

    `raw` holds replies of /v1/chat/completions that no Ollama would give, each taken once and before the script.
    `runner` says how fast it answers, how many at once, and how long a load takes. `on_chat` runs while a question
    holds its slot, and may block.
    """

    def __init__(self, models: dict[str, str] | None = None, *, port: int = 0) -> None:
        self.models = {"llama3.1:latest": "digest-one"} if models is None else models
        self.default: Fault = good
        self.script: deque[Fault] = deque()
        self.raw: deque[Reply] = deque()
        self.chats: list[dict[str, Any]] = []
        self.answered = 0
        self.warm_ups: list[dict[str, Any]] = []
        self.on_chat: Callable[[dict[str, Any]], None] = _nothing
        self.pull_error: str | None = None
        self.load_error: str | None = None
        self.listing: list[dict[str, Any]] | None = None  # /v1/models of another kind of server
        self.runner = Runner()
        self._routes: dict[str, tuple[str, Callable[[bytes], Any]]] = {
            "/": ("GET", self._root),
            "/api/version": ("GET", self._version),
            "/api/tags": ("GET", self._tags),
            "/api/ps": ("GET", self._ps),
            "/api/show": ("POST", self._show),
            "/api/pull": ("POST", self._pull),
            "/api/chat": ("POST", self._native_chat),
            "/v1/models": ("GET", self._openai_models),
            "/v1/chat/completions": ("POST", self._openai_chat),
            "/fake/counts": ("GET", self._counts),
        }
        super().__init__(self._reply, port)

    @property
    def most_at_once(self) -> int:
        """Questions that held a slot at the same time, at most."""
        return self.runner.most_at_once

    async def _reply(self, method: str, path: str, body: bytes) -> Reply:
        if path not in self._routes:
            return Reply(404, b"404 page not found", _PLAIN)
        wanted, route = self._routes[path]
        if method != wanted:
            return Reply(405, b"405 method not allowed", _PLAIN)
        reply = route(body)
        found: Reply = await reply if asyncio.iscoroutine(reply) else reply
        return found

    def _root(self, _: bytes) -> Reply:
        return Reply(200, b"Ollama is running", _PLAIN)

    def _version(self, _: bytes) -> Reply:
        return to_json({"version": "0.33.0"})

    def _tags(self, _: bytes) -> Reply:
        items = [{"name": name, "model": name, "digest": digest, "size": 1} for name, digest in self.models.items()]
        return to_json({"models": items})

    def _ps(self, _: bytes) -> Reply:
        name = self.runner.loaded_model
        return to_json({"models": [{"name": name, "model": name, "size_vram": 0}] if name else []})

    def _show(self, _: bytes) -> Reply:
        return to_json({"details": {"family": "llama"}, "model_info": {}, "capabilities": ["completion"]})

    def _pull(self, body: bytes) -> Reply:
        request = json.loads(body)
        name, is_streamed = request["model"], request.get("stream", True)
        if self.pull_error is None:
            self.models[name if ":" in name else f"{name}:latest"] = "digest-pulled"
        elif not is_streamed:
            return to_json({"error": self.pull_error}, 500)
        last = {"status": "success"} if self.pull_error is None else {"error": self.pull_error}
        if not is_streamed:
            return to_json(last)
        layer = {"status": "pulling 8eeb52dfb3bb", "digest": "sha256:8eeb52dfb3bb", "total": 100, "completed": 50}
        return _to_lines([{"status": "pulling manifest"}, layer, last])

    def _openai_models(self, _: bytes) -> Reply:
        if self.listing is not None:
            return to_json({"object": "list", "data": self.listing})
        return to_openai_models(list(self.models))

    def _counts(self, _: bytes) -> Reply:
        runner = self.runner
        counts = {"chats": len(self.chats), "answered": self.answered, "warm_ups": len(self.warm_ups)}
        most = {"most_at_once": runner.most_at_once, "most_waiting": runner.most_waiting, "loads": runner.loads}
        return to_json(counts | most)

    async def _native_chat(self, body: bytes) -> Reply:
        return await self._chat(body)

    async def _openai_chat(self, body: bytes) -> Reply:
        return self.raw.popleft() if self.raw else to_openai(await self._chat(to_native(body)))

    async def _chat(self, body: bytes) -> Reply:
        if not body.strip():
            return error(400, "missing request body")({})
        try:
            request = json.loads(body)
        except ValueError:
            return error(400, "invalid character '}' looking for beginning of value")({})
        if (refusal := self._refuse(request)) is not None:
            return refusal
        try:
            return await self._load_only(request) if not request["messages"] else await self._answer_chat(request)
        except Busy:
            return FAULTS["503"](request)

    def _refuse(self, request: dict[str, Any]) -> Reply | None:
        """What is wrong with the request itself."""
        name = request.get("model")
        if not name:
            return error(400, "model is required")(request)
        if not {name, f"{name}:latest"} & self.models.keys():
            return error(404, f"model '{name}' not found")(request)
        if request.get("think"):
            return error(400, f'"{name}" does not support thinking')(request)
        if not isinstance(request.get("options", {}).get("num_ctx", 0), int):
            return FAULTS["500-option"](request)
        return None

    async def _load_only(self, request: dict[str, Any]) -> Reply:
        if self.load_error is not None:
            return error(500, self.load_error)(request)
        self.warm_ups.append(request)
        is_unload = request.get("keep_alive") == 0
        if is_unload:
            self.runner.evict()
        else:
            await self.runner.load(request)
        loaded = {"model": request["model"], "message": {"role": "assistant", "content": ""}}
        return to_json({**loaded, "done": True, "done_reason": "unload" if is_unload else "load"})

    async def _answer_chat(self, request: dict[str, Any]) -> Reply:
        if request.get("options", {}).get("num_predict") == 1:  # OpenAI's API has no other way to load
            self.warm_ups.append(request)
            await self.runner.load(request)
            return says("{", done_reason="length")(request)
        self.chats.append(request)
        fault = self.script.popleft() if self.script else self.default
        await self.runner.load(request)
        window = request.get("options", {}).get("num_ctx", 4096)
        if sum(len(message["content"]) for message in request["messages"]) // _CHARS_A_TOKEN > window:
            if request.get("truncate") is False:
                return FAULTS["400-context"](request)
            fault = says("Which account do you mean?", prompt_eval_count=window // 2 + 2)
        async with self.runner.slot(request):
            if self.on_chat is not _nothing:
                await _in_thread(self.on_chat, request)
            reply = fault(request)
        self.answered += 1
        return reply if request.get("stream") is False else _to_stream(reply)


async def _in_thread(work: Callable[[dict[str, Any]], None], request: dict[str, Any]) -> None:
    """Not asyncio's pool: it has few threads, and waits for them at the end."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def end(raised: Exception | None) -> None:
        if not done.done():
            done.set_exception(raised) if raised else done.set_result(None)

    def run() -> None:
        raised = None
        try:
            work(request)
        except Exception as failure:  # goes to the caller, whose connection it breaks
            raised = failure
        if not loop.is_closed():
            loop.call_soon_threadsafe(end, raised)

    threading.Thread(target=run, daemon=True).start()
    await done


def _to_stream(reply: Reply) -> Reply:
    """As Ollama answers by default: NDJSON, the text in pieces, the counters last."""
    if reply.status != 200 or reply.is_dropped or not reply.headers.get("Content-Type", "").startswith("application/"):
        return reply
    whole = json.loads(reply.body)
    text = whole["message"]["content"]
    piece = {"model": whole["model"], "message": {"role": "assistant", "content": text}, "done": False}
    return _to_lines([piece, {**whole, "message": {"role": "assistant", "content": ""}}])


def _to_lines(items: list[dict[str, Any]]) -> Reply:
    return Reply(200, b"".join(json.dumps(item).encode() + b"\n" for item in items), _NDJSON, is_chunked=True)
