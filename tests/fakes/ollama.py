"""Ollama as its documented contract has it, on a free loopback port, with the faults that a test asks for.

Stands in for failures that a real server can't be made to show. What it answers by default is derived from the account
in the prompt, so that claims agree with the data. Source: ollama/ollama docs/api.md, server/routes.go.
"""

import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.fakes.serving import LocalServer

Fault = Callable[[dict[str, Any]], "Reply"]
PITCH = "We help fleet teams plan routes and service. May we show {account_name} how it works?"


@dataclass(frozen=True)
class Reply:
    """What goes over the wire. `is_dropped`: the connection is reset instead."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    is_dropped: bool = False


def to_json(content: Any, status: int = 200, **headers: str) -> Reply:
    return Reply(status, json.dumps(content).encode(), {"Content-Type": "application/json; charset=utf-8", **headers})


def error(status: int, text: str, **headers: str) -> Fault:
    return lambda request: to_json({"error": text}, status, **headers)


def says(content: str, **changes: Any) -> Fault:
    """200 with this text; `changes` overwrite the envelope (None takes a key out)."""

    def reply(request: dict[str, Any]) -> Reply:
        envelope = {
            "model": request["model"],
            "created_at": "2026-01-01T00:00:00Z",
            "message": {"role": "assistant", "content": content},
            "done": True,
            "done_reason": "stop",
            "total_duration": 50_000_000,
            "load_duration": 1_000_000,
            "prompt_eval_count": 400,
            "prompt_eval_duration": 20_000_000,
            "eval_count": 80,
            "eval_duration": 29_000_000,
        } | changes
        return to_json({key: value for key, value in envelope.items() if value is not None})

    return reply


def account_of(request: dict[str, Any]) -> dict[str, Any]:
    """The account in the last message, whatever is said after it."""
    account, _ = json.JSONDecoder().raw_decode(request["messages"][-1]["content"])
    return dict(account)


def answer_for(account: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """An answer that passes every check: it claims what the question's signals say."""
    answer = {
        "claims": account["signals"] or [{"field": "industry", "polarity": "neutral"}],
        "lead_score": min(100, account["baseline_score"] + 4),
        "next_action": "call",
        "pitch": PITCH,
    }
    return answer | changes


def answers(**changes: Any) -> Fault:
    """The good answer with something changed."""
    return lambda request: says(json.dumps(answer_for(account_of(request), **changes)))(request)


good = answers()
LLAMA_CONTEXT_ERROR = json.dumps(
    {
        "error": {
            "code": 400,
            "message": "request (9931 tokens) exceeds the available context size (4096 tokens), try increasing it",
            "type": "exceed_context_size_error",
            "n_prompt_tokens": 9931,
            "n_ctx": 4096,
        }
    }
)
FAULTS: dict[str, Fault] = {
    "500": error(500, "model runner has unexpectedly stopped, this may be due to resource limitations"),
    "500-repeat": error(500, "prediction aborted, token repeat limit reached"),
    "503": error(503, "server busy, please try again.  maximum pending requests exceeded"),
    "502-html": lambda request: Reply(502, b"<html>Bad Gateway</html>", {"Content-Type": "text/html"}),
    "429": error(429, "too many requests", **{"Retry-After": "0"}),
    "404-model": error(404, "model 'llama3.1' not found"),
    "404-model-scheduler": error(404, 'model "llama3.1" not found, try pulling it first'),
    "404-page": lambda request: Reply(404, b"404 page not found", {"Content-Type": "text/plain"}),
    "400-context": error(400, LLAMA_CONTEXT_ERROR),
    "400-other": error(400, "invalid JSON schema in format"),
    "length": lambda request: says(json.dumps(answer_for(account_of(request)))[:60], done_reason="length")(request),
    "done-false": says('{"claims": [' + " " * 31, done=False, done_reason=None, eval_count=None),
    "padded": lambda request: says("\n\n  " + json.dumps(answer_for(account_of(request))) + " \n\t\n")(request),
    "fenced": lambda request: says("```json\n" + json.dumps(answer_for(account_of(request))) + "\n```")(request),
    "prose": says("Sure! Here is the JSON you asked for."),
    "empty": says(""),
    "extra-key": answers(tier="A"),
    "out-of-range": answers(lead_score=140),
    "unknown-enum": answers(next_action="sell_now"),
    "no-message": says("", message=None),
    "reset": lambda request: Reply(is_dropped=True),
}


class FakeOllama(LocalServer):
    """`script` holds the next replies to chats (empty: `default`); `chats` what was asked. A context manager."""

    def __init__(self, models: dict[str, str] | None = None) -> None:
        self.models = {"llama3.1:latest": "digest-one"} if models is None else models
        self.default: Fault = good
        self.script: deque[Fault] = deque()
        self.chats: list[dict[str, Any]] = []
        self.warm_ups: list[dict[str, Any]] = []
        self.on_chat: Callable[[dict[str, Any]], None] = lambda request: None
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        super().__init__(_handler(self))

    def reply_to(self, path: str, request: dict[str, Any]) -> Reply:
        if path == "/api/chat":
            return self._chat(request)
        if path == "/api/tags":
            items = [{"name": name, "model": name, "digest": digest, "size": 1} for name, digest in self.models.items()]
            return to_json({"models": items})
        if path == "/api/ps":
            return to_json({"models": []})
        if path == "/api/version":
            return to_json({"version": "0.33.0"})
        if path == "/api/show":
            return to_json({"details": {"family": "llama"}, "model_info": {}, "capabilities": ["completion"]})
        return Reply(404, b"404 page not found", {"Content-Type": "text/plain"})

    def _chat(self, request: dict[str, Any]) -> Reply:
        if not request["messages"]:
            self.warm_ups.append(request)
            loaded = {"model": request["model"], "message": {"role": "assistant", "content": ""}}
            return to_json({**loaded, "done": True, "done_reason": "load"})
        with self._lock:
            self.chats.append(request)
            fault = self.script.popleft() if self.script else self.default
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            self.on_chat(request)
            return fault(request)
        finally:
            with self._lock:
                self._at_once -= 1


def _handler(fake: FakeOllama) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, request: dict[str, Any]) -> None:
            reply = fake.reply_to(self.path, request)
            if reply.is_dropped:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                self.connection.close()
                return
            try:
                self.send_response(reply.status)
                for name, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # the caller gave up; so does a real server

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
