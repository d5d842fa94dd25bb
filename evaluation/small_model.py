"""The small real model behind Ollama's API, in a process of its own, for as long as an evaluation needs it."""

import os
import socket
import subprocess  # nosec B404 - a fixed command, no shell
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import httpx

from local.settings import LOCAL_MODEL_NAME
from services.scoring.settings import ScoringSettings

_ROOT: Final = Path(__file__).parents[1]
_START_SECONDS: Final = 60.0


@contextmanager
def small_model() -> Iterator[str]:
    """The base URL of a running server that knows `smollm2:135m`.

    Raises:
        RuntimeError: it doesn't start; the message holds what it said.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "local.model_server", "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile("w+") as log:  # a pipe that nobody reads would fill up and stop the server
        process = subprocess.Popen(command, cwd=_ROOT, stdout=log, stderr=subprocess.STDOUT, text=True)  # nosec B603
        try:
            _wait_for(url, process, log)
            yield url
        finally:
            process.terminate()
            process.wait(15)


@contextmanager
def model_settings() -> Iterator[ScoringSettings]:
    """Settings of the model to judge: OLLAMA_HOST's where that is set, else the small one's."""
    if os.environ.get("OLLAMA_HOST"):
        yield ScoringSettings()
        return
    with small_model() as url:
        yield ScoringSettings(OLLAMA_HOST=url, OLLAMA_MODEL=LOCAL_MODEL_NAME, OLLAMA_NUM_PARALLEL=1)


def _wait_for(url: str, process: subprocess.Popen[str], log: IO[str]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(url, timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    log.seek(0)
    raise RuntimeError(f"The small model does not start: {log.read()}")
