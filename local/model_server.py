"""Ollama's HTTP API over a small real model: `python -m local.model_server --port 11435`.

It exists so that a machine without Ollama runs the whole pipeline with real inference. It proves the plumbing and
does not score well: SmolLM2 has 135 million parameters. It knows one model, `smollm2:135m`, under exactly that name;
the model is loaded at start and stays, so `keep_alive` moves `expires_at` in /api/ps and nothing else.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from local.model_answers import Answer, Answers
from local.model_engine import EngineError, LlamaEngine
from local.model_file import DETAILS, MODEL_INFO, ModelFile, find_model_file
from local.ollama_api import (
    VERSION,
    ChatRequest,
    OllamaError,
    parse_chat_request,
    parse_format,
    parse_keep_alive,
    parse_object,
    parse_options,
    to_loaded,
    to_time,
)
from local.settings import ModelSettings
from shared.errors import GtmError

_GRACEFUL_SECONDS = 1


class ModelServer:
    """The endpoints, named as in Ollama's docs/api.md."""

    def __init__(self, file: ModelFile, engine: LlamaEngine, settings: ModelSettings) -> None:
        self._file = file
        self._answers = Answers(engine, settings)
        self._window = settings.context_tokens
        self._expires_at = datetime.now(UTC) + parse_keep_alive(None)

    def to_app(self) -> Starlette:
        """The ASGI application."""
        routes = [
            Route("/", self.root),
            Route("/api/version", self.version),
            Route("/api/tags", self.tags),
            Route("/api/ps", self.ps),
            Route("/api/show", self.show, methods=["POST"]),
            Route("/api/chat", self.chat, methods=["POST"]),
        ]
        return Starlette(
            routes=routes,
            exception_handlers={OllamaError: _to_error, EngineError: _to_error, HTTPException: _to_plain},
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        yield
        self._answers.stop()

    async def root(self, _: Request) -> Response:
        return PlainTextResponse("Ollama is running")

    async def version(self, _: Request) -> Response:
        return JSONResponse({"version": VERSION})

    async def tags(self, _: Request) -> Response:
        return JSONResponse({"models": [self._listing()]})

    async def ps(self, _: Request) -> Response:
        running = {"expires_at": to_time(self._expires_at), "size_vram": 0, "context_length": self._window}
        return JSONResponse({"models": [{**self._listing(), **running}]})

    async def show(self, request: Request) -> Response:
        body = parse_object(await request.body())
        self._require_model(str(body.get("model") or body.get("name") or ""))
        return JSONResponse(
            {
                "modelfile": f"# {self._file.name}\nFROM {self._file.path.name}\n",
                "parameters": "",
                "template": "",
                "details": DETAILS,
                "model_info": MODEL_INFO,
                "capabilities": ["completion"],
                "modified_at": to_time(self._file.modified_at),
            }
        )

    async def chat(self, request: Request) -> Response:
        started_ns = time.monotonic_ns()
        chat = parse_chat_request(await request.body())
        self._require_model(chat.model)
        _require_plain_chat(chat)
        keep_alive = parse_keep_alive(chat.keep_alive)
        self._expires_at = datetime.now(UTC) + keep_alive
        if not chat.messages:
            return JSONResponse(to_loaded(chat.model, unload=keep_alive.total_seconds() == 0))
        answer = Answer(chat, parse_options(chat.options), parse_format(chat.format), started_ns)
        if chat.stream:
            return await _stream(self._answers.generate(answer))
        whole = await _unless_disconnected(request, self._answers.collect(answer))
        return JSONResponse(whole) if whole is not None else Response(status_code=499)

    def _listing(self) -> dict[str, Any]:
        return {
            "name": self._file.name,
            "model": self._file.name,
            "modified_at": to_time(self._file.modified_at),
            "size": self._file.size,
            "digest": self._file.digest,
            "details": DETAILS,
        }

    def _require_model(self, name: str) -> None:
        if not name:
            raise OllamaError(400, "model is required")
        if name != self._file.name:
            raise OllamaError(404, f"model '{name}' not found")


def _require_plain_chat(chat: ChatRequest) -> None:
    for asked, capability in ((chat.think, "thinking"), (chat.tools, "tools")):
        if asked:
            raise OllamaError(400, f'"{chat.model}" does not support {capability}')
    if any(message.images for message in chat.messages):
        raise OllamaError(400, f'"{chat.model}" does not support image input')


async def _stream(pieces: AsyncIterator[dict[str, Any]]) -> Response:
    """NDJSON. What fails before the first piece is an ordinary error answer: it raises here."""
    first = await anext(pieces, None)

    async def lines() -> AsyncIterator[str]:
        if first is not None:
            yield json.dumps(first) + "\n"
        async for piece in pieces:
            yield json.dumps(piece) + "\n"

    return StreamingResponse(lines(), media_type="application/x-ndjson")


async def _unless_disconnected(request: Request, work: Awaitable[dict[str, Any]]) -> dict[str, Any] | None:
    """The result, or None when the caller hung up first: nobody reads that answer, so its computing stops."""

    async def hung_up() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    answer, watch = asyncio.ensure_future(work), asyncio.ensure_future(hung_up())
    try:
        await asyncio.wait([answer, watch], return_when=asyncio.FIRST_COMPLETED)
        return await answer if answer.done() else None
    finally:
        for task in (answer, watch):
            task.cancel()
        await asyncio.wait([answer, watch])


async def _to_error(_: Request, error: Exception) -> Response:
    if isinstance(error, EngineError):  # Ollama hands on its runner's body as a string
        return JSONResponse({"error": json.dumps(error.body)}, status_code=error.status)
    assert isinstance(error, OllamaError)
    return JSONResponse({"error": error.message}, status_code=error.status)


async def _to_plain(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    texts = {404: "404 page not found", 405: "405 method not allowed"}
    return PlainTextResponse(texts.get(error.status_code, error.detail), status_code=error.status_code)


def main(arguments: list[str] | None = None) -> int:
    """Load the model, say so, and serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m local.model_server", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=11435)
    chosen = parser.parse_args(arguments)
    settings = ModelSettings()
    try:
        file = find_model_file()
    except GtmError as error:
        print(f"{error.title}: {error.detail}", file=sys.stderr)
        return 1
    engine = LlamaEngine(
        file.path, slots=settings.parallel, context_tokens=settings.context_tokens, threads=settings.threads
    )
    app = ModelServer(file, engine, settings).to_app()
    print(f"{file.name} is loaded; serving Ollama's API on http://{chosen.host}:{chosen.port}", flush=True)
    uvicorn.run(app, host=chosen.host, port=chosen.port, log_level="info", timeout_graceful_shutdown=_GRACEFUL_SECONDS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
