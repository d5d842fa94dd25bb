"""The part of Ollama that owns a loaded model: loads, evictions, slots, and how long an answer takes."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

_RUNNER_OPTIONS = ("num_ctx", "num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread", "draft_num_predict")
_TOKENS = 80  # of the default answer


class Busy(Exception):
    """More requests wait for a load than OLLAMA_MAX_QUEUE: the one case of its 503."""


class Runner:
    """Times are seconds. `num_parallel` None: as many answers at once as are asked for; others wait without bound.

    A load that nobody waits for any more is given up, and the next request starts it again.
    """

    def __init__(self) -> None:
        self.num_parallel: int | None = None
        self.answer_seconds = 0.0
        self.token_seconds = 0.0
        self.load_seconds = 0.0
        self.max_queue = 512
        self.keep_alive_seconds = 1800.0
        self.loads = 0
        self.aborted_loads = 0
        self.at_once = self.most_at_once = self.waiting = self.most_waiting = 0
        self._loaded: tuple[str, dict[str, Any]] | None = None
        self._wanted: tuple[str, dict[str, Any]] | None = None
        self._loading: asyncio.Task[None] | None = None
        self._queue = 0
        self._used_at = 0.0
        self._slot_free = asyncio.Condition()

    @property
    def loaded_model(self) -> str | None:
        """As /api/ps lists it."""
        return self._loaded[0] if self._loaded else None

    def evict(self) -> None:
        """Unload, as after keep_alive or for another model's sake."""
        self._loaded = None

    async def load(self, request: dict[str, Any]) -> None:
        """Until the model is there with these options; another set of them has it loaded again.

        Raises:
            Busy: too many wait for the load.
        """
        options = request.get("options", {})
        wanted = (request["model"], {name: options[name] for name in _RUNNER_OPTIONS if name in options})
        if time.monotonic() - self._used_at > self.keep_alive_seconds:
            self.evict()
        self._used_at = time.monotonic()
        if self._loaded == wanted:
            return
        if self._queue >= self.max_queue:
            raise Busy
        if self._loading is None or self._wanted != wanted:
            self._wanted, self.loads = wanted, self.loads + 1
            self._loading = asyncio.create_task(self._load(wanted))
        self._queue += 1
        try:
            await asyncio.shield(self._loading)
        except asyncio.CancelledError:
            if self._queue == 1 and self._loading is not None:
                self._loading.cancel()
                self._loading, self.aborted_loads = None, self.aborted_loads + 1
            raise
        finally:
            self._queue -= 1

    async def _load(self, wanted: tuple[str, dict[str, Any]]) -> None:
        await asyncio.sleep(self.load_seconds)
        self._loaded, self._loading = wanted, None

    @asynccontextmanager
    async def slot(self, request: dict[str, Any]) -> AsyncIterator[None]:
        """One of `num_parallel`, held for as long as an answer takes."""
        asked = request.get("options", {}).get("num_predict", -1)
        tokens = _TOKENS if asked < 0 else min(_TOKENS, asked)
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        try:
            async with self._slot_free:
                await self._slot_free.wait_for(lambda: self.num_parallel is None or self.at_once < self.num_parallel)
                self.at_once += 1
        finally:
            self.waiting -= 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if seconds := self.answer_seconds + tokens * self.token_seconds:
                await asyncio.sleep(seconds)
            yield
        finally:
            self.at_once -= 1
            async with self._slot_free:
                self._slot_free.notify()
