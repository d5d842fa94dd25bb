"""What the benchmark of scorings runs in: a data folder with marts, a model server, and a process for each side."""

import json
import os
import subprocess  # nosec B404 - fixed commands, no shell
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Self

import httpx

from benchmarks.scoring_marts import make_marts
from evaluation.small_model import small_model
from local.settings import LOCAL_MODEL_NAME
from shared.operations.migrate import migrate
from shared.settings import WarehouseSettings
from shared.warehouse import open_warehouse

_ROOT = Path(__file__).parents[1]


class FakeServer:
    """The tests' stand-in for Ollama in a process of its own, with a fixed time to answer."""

    model = "llama3.1"

    def __init__(self, *, latency_ms: int, num_parallel: int) -> None:
        limits = ["--latency-ms", str(latency_ms), "--num-parallel", str(num_parallel)]
        self._command = [sys.executable, "-m", "tests.fakes.ollama_server", *limits]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)  # nosec B603
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def count_chats(self) -> int:
        """Questions that it was asked so far."""
        return int(httpx.get(f"{self.url}/fake/counts", timeout=10).json()["chats"])


class SmallModel:
    """The local stack's real model."""

    model = LOCAL_MODEL_NAME

    def __enter__(self) -> Self:
        self._running: AbstractContextManager[str] = small_model()
        self.url = self._running.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._running.__exit__(*error)


class ScoringHouse:
    """One data folder with the marts of so many accounts."""

    def __init__(self, folder: Path, accounts: int) -> None:
        self._folder = folder
        self._asked = folder / "asked.jsonl"
        self._data_dir = folder / "var"
        self._data_dir.mkdir(parents=True)
        migrate(f"sqlite:///{self._data_dir / 'operations.sqlite3'}")
        make_marts(open_warehouse(WarehouseSettings(GTM_DATA_DIR=self._data_dir)), accounts)  # type: ignore[call-arg]

    def score(self, url: str, model: str, slots: int, *, is_recorded: bool = False) -> dict[str, Any]:
        """A scoring of all in a process of its own: what `benchmarks.scoring_run` prints."""
        env = {
            "GTM_DATA_DIR": str(self._data_dir),
            "GTM_ENV": "local",
            "GTM_ENV_FILE": os.devnull,
            "GTM_LOG_LEVEL": "WARNING",
            "OLLAMA_HOST": url,
            "OLLAMA_MODEL": model,
            "OLLAMA_NUM_PARALLEL": str(slots),
            "BENCH_ASKED": str(self._asked) if is_recorded else "",
        }
        said = _run(["-m", "benchmarks.scoring_run"], env)
        took: dict[str, Any] = json.loads(said.strip().splitlines()[-1])
        return took

    def ask_bare(self, slots: int) -> float:
        """Seconds in which the bare generator asks what the recorded scoring has asked."""
        return float(_run(["-m", "benchmarks.bare_load", str(self._asked), str(slots)], {}))


def _run(arguments: list[str], env: dict[str, str]) -> str:
    """Raises RuntimeError with the process's last words."""
    command = [os.environ.get("BENCH_SCORING_PYTHON", sys.executable), *arguments]
    done = subprocess.run(command, cwd=_ROOT, env=os.environ | env, capture_output=True, text=True)  # nosec B603
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments)} failed: {done.stderr[-2000:]}")
    return done.stdout
