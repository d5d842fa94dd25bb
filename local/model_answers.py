"""From a chat request to the pieces of its answer: waiting for a slot, fitting the window, stopping early."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from local.model_engine import Completion, EngineError, LlamaEngine
from local.ollama_api import ChatRequest, Options, to_chatml, to_chunk, to_completion_body, to_final
from local.settings import ModelSettings


@dataclass(frozen=True)
class Answer:
    """One answer to be given. `started_ns` is the monotonic clock at the request's arrival."""

    chat: ChatRequest
    options: Options
    schema: dict[str, Any] | None
    started_ns: int


class Answers:
    """At most `parallel` answers are computed at once; the rest wait without bound, as with Ollama."""

    def __init__(self, engine: LlamaEngine, settings: ModelSettings) -> None:
        self._engine = engine
        self._window = settings.context_tokens
        self._slots = asyncio.Semaphore(settings.parallel)
        self._executor = ThreadPoolExecutor(settings.parallel, thread_name_prefix="llama")
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End every running answer at its next token."""
        self._stopping.set()

    async def collect(self, answer: Answer) -> dict[str, Any]:
        """The whole answer at once. Cancelling it stops the model. Raises EngineError."""
        content = ""
        last: dict[str, Any] = {}
        async with aclosing(self.generate(answer)) as pieces:
            async for last in pieces:
                content += last["message"]["content"]
        last["message"]["content"] = content
        return last

    async def generate(self, answer: Answer) -> AsyncGenerator[dict[str, Any], None]:
        """The pieces of an answer, in Ollama's shape. Closing it stops the model at the next token.

        Raises:
            EngineError: before the first piece.
        """
        name = answer.chat.model
        async with self._slots:
            texts: asyncio.Queue[str | None] = asyncio.Queue()
            loop = asyncio.get_running_loop()
            abandoned = threading.Event()

            def on_text(text: str) -> bool:
                loop.call_soon_threadsafe(texts.put_nowait, text)
                return abandoned.is_set() or self._stopping.is_set()

            load_ns = time.monotonic_ns() - answer.started_ns
            work = loop.run_in_executor(self._executor, self._complete, answer, on_text)
            work.add_done_callback(lambda _: texts.put_nowait(None))
            try:
                while (text := await texts.get()) is not None:
                    yield to_chunk(name, text)
                completion = await work
                if completion is not None:
                    total_ns = time.monotonic_ns() - answer.started_ns
                    yield to_final(name, "", completion, load_ns=load_ns, total_ns=total_ns)
            finally:
                abandoned.set()
                await asyncio.wait([work])

    def _complete(self, answer: Answer, on_text: Callable[[str], bool]) -> Completion | None:
        """In a thread: fit the prompt into the window, as `truncate` allows, and answer it."""
        if answer.schema is not None:
            self._engine.require_schema(answer.schema)
        messages = list(answer.chat.messages)
        window = min(answer.options.num_ctx or self._window, self._window)
        while True:
            body = to_completion_body(to_chatml(messages), answer.options, answer.schema)
            try:
                if window < self._window:
                    self._engine.require_window(body["prompt"], window)
                return self._engine.complete(body, on_text)
            except EngineError as error:
                oldest = next((i for i, message in enumerate(messages[:-1]) if message.role != "system"), None)
                if not answer.chat.truncate or not error.is_too_long or oldest is None:
                    raise
                del messages[oldest]
