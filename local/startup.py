"""Starting in order, and telling a person what happens: Redis and the model, migrations, then the services."""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from local.endpoints import Endpoints, redis_answers
from local.processes import Process
from local.supervision import Supervision

_POLL_SECONDS = 0.2
_TOO_MANY_STARTS = 3
_LOG_LINES = 20
_MIGRATION = "migrations"

# What a log says -> what a person does.
_MENDS = {
    "address already in use": "Another program took its port in the meantime: run `up` again, or set its GTM_…_PORT.",
    "No module named": "The environment is incomplete: run `make setup`.",
    "No space left on device": "The disk is full: make room, or set GTM_DATA_DIR to another one.",
    "Permission denied": "The data folder isn't yours: set GTM_DATA_DIR to one that you may write.",
    "validation error": "A setting is wrong; the log names it. Look it up in .env.example.",
}


class StartFailed(Exception):
    """The text says which process, what it last wrote, and the mend."""


def start_in_order(
    supervision: Supervision,
    processes: list[Process],
    endpoints: Endpoints,
    environment: Mapping[str, str],
    timeout_seconds: float,
    say: Callable[[str], None],
) -> None:
    """Return when every process is ready.

    Raises:
        StartFailed: one isn't, or keeps dying; the caller stops the rest.
    """
    waiting = _Waiting(supervision, time.monotonic() + timeout_seconds, say)
    if not endpoints.brings_redis and not redis_answers(endpoints.redis):
        raise StartFailed(
            "REDIS_URL is set, but nothing answers there. Start it, or unset REDIS_URL: then Redis is brought along."
        )
    if not endpoints.brings_model:
        say(f"  {'model':<28} not started: Ollama answers at {endpoints.ollama}")
    waiting.supervisor = supervision.start(processes, environment)
    services = [process for process in processes if process.group != "base"]
    if services:
        waiting.until_ready([process for process in processes if process.name == "redis"])
        _migrate(supervision.logs, environment, waiting.seconds_left)
        say(f"  {_MIGRATION:<28} done")
        supervision.start_services()
    waiting.until_ready([process for process in processes if process.name not in waiting.ready])


class _Waiting:
    def __init__(self, supervision: Supervision, deadline: float, say: Callable[[str], None]) -> None:
        self._supervision = supervision
        self._deadline = deadline
        self._say = say
        self._began = time.monotonic()
        self._starts: dict[str, set[int]] = {}
        self.ready: set[str] = set()
        self.supervisor: "subprocess.Popen[bytes] | None" = None

    @property
    def seconds_left(self) -> float:
        return self._deadline - time.monotonic()

    def until_ready(self, processes: list[Process]) -> None:
        """Also waits for the supervisor itself, so it may be given no process at all."""
        left = {process.name: process for process in processes}
        while True:
            states = {state["name"]: state for state in self._supervision.states()}
            if self.supervisor is not None and self.supervisor.poll() is not None:
                raise StartFailed(_explain(self._supervision.logs, "supervisord", "ended"))
            for name in left.keys() & states.keys():
                if self._is_ready(left[name], states[name]):
                    del left[name]
            if states and not left:
                return
            if self.seconds_left < 0:
                name = next(iter(left), "supervisord")
                raise StartFailed(_explain(self._supervision.logs, name, "did not become ready in time"))
            time.sleep(_POLL_SECONDS)

    def _is_ready(self, process: Process, state: Mapping[str, Any]) -> bool:
        starts = self._starts.setdefault(process.name, set())
        starts.add(state["start"])
        if state["statename"] == "FATAL" or len(starts) >= _TOO_MANY_STARTS:
            raise StartFailed(_explain(self._supervision.logs, process.name, state["spawnerr"] or "keeps ending"))
        if state["statename"] not in {"STARTING", "RUNNING"} or not process.is_ready(state["pid"]):
            return False
        self.ready.add(process.name)
        self._say(
            f"  {process.name:<28} ready after {time.monotonic() - self._began:4.1f} s  {process.address}".rstrip()
        )
        return True


def _migrate(logs: Path, environment: Mapping[str, str], timeout_seconds: float) -> None:
    """Bring the operations database to this version's schema."""
    command = [sys.executable, "-m", "shared.operations.migrate"]
    path = logs / f"{_MIGRATION}.log"
    try:
        with path.open("wb") as log:
            subprocess.run(command, env=environment, stdout=log, stderr=log, check=True, timeout=timeout_seconds)
    except subprocess.CalledProcessError as error:
        raise StartFailed(_explain(logs, _MIGRATION, f"failed (exit status {error.returncode})")) from error
    except subprocess.TimeoutExpired as error:
        raise StartFailed(_explain(logs, _MIGRATION, "did not end in time")) from error


def _explain(logs: Path, name: str, what: str) -> str:
    path = logs / f"{name}.log"
    lines = tail(path, _LOG_LINES)
    text = "\n".join(lines)
    mend = next((mend for sign, mend in _MENDS.items() if sign.lower() in text.lower()), "The log says why.")
    return "\n".join(
        [f"{name} {what}. Its last words:", *(f"    {line}" for line in lines), mend, f"Whole log: {path}"]
    )


def tail(path: Path, lines: int) -> list[str]:
    """The last lines of a log; none where it doesn't exist yet."""
    try:
        return path.read_text(errors="replace").splitlines()[-lines:]
    except FileNotFoundError:
        return []
