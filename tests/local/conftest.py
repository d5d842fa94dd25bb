"""Real processes on free ports: the local model server, and stacks of its own for each test."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.ports import free_port

_ROOT = Path(__file__).parents[2]


def bare_environment(**extra: str) -> dict[str, str]:
    """This environment without the product's own settings, so that a developer's `.env` habits don't reach a test."""
    prefixes = ("GTM_", "OLLAMA_", "REDIS_", "SNOWFLAKE_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(prefixes)}
    return {**kept, "GTM_ENV_FILE": os.devnull, "PYTHONPATH": str(_ROOT), **extra}


@pytest.fixture(scope="session")
def model_client() -> Iterator[httpx.Client]:
    """A client of a running model server."""
    port = free_port()
    command = [sys.executable, "-m", "local.model_server", "--port", str(port)]
    process = subprocess.Popen(command, cwd=_ROOT, env=bare_environment(), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert "is loaded" in process.stdout.readline()
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            wait_for(lambda: _answers(client))
            yield client
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/").text == "Ollama is running"
    except httpx.TransportError:
        return False


def wait_for(condition, seconds: float = 20.0) -> None:  # type: ignore[no-untyped-def]  # tests are typed loosely
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)
