"""Real processes for tests: started as production starts them, waited for by condition, ended by pid."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from tests.conftest import REPOSITORY, wait_until
from tests.ports import free_port

STOP_SECONDS = 15


class Server:
    """One process of the product, with its log in a file."""

    def __init__(self, name: str, arguments: list[str], log_folder: Path, env: Mapping[str, str] | None = None) -> None:
        log_folder.mkdir(parents=True, exist_ok=True)
        self.log_path = log_folder / f"{name}.log"
        self._arguments = [sys.executable, "-m", *arguments]
        self._env = {**os.environ, **(env or {})}
        self.process = self._start()

    def restart(self) -> None:
        """After a kill: as a supervisor would."""
        self.process = self._start()

    def kill(self, number: int = signal.SIGKILL) -> None:
        """The process and its children, at once."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)
        self.process.wait(STOP_SECONDS)

    def stop(self) -> None:
        """As an operator would; killed if it does not listen."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()

    def log(self) -> str:
        """All it has written."""
        return self.log_path.read_text()

    def _start(self) -> subprocess.Popen[bytes]:
        with self.log_path.open("ab") as log:
            return subprocess.Popen(
                self._arguments, cwd=REPOSITORY, env=self._env, stdout=log, stderr=log, start_new_session=True
            )


class ApiServer(Server):
    """One API on a free loopback port."""

    def __init__(self, service: str, log_folder: Path, env: Mapping[str, str] | None = None) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        app = f"services.{service}.api:app"
        super().__init__(service, ["uvicorn", app, "--port", str(self.port), "--log-level", "warning"], log_folder, env)

    def wait_ready(self) -> "ApiServer":
        wait_until(self._is_ready, f"{self.url}/readyz\n{self.log()}", seconds=60)
        return self

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.log()
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False


def start_worker(service: str, queue: str, log_folder: Path, env: Mapping[str, str] | None = None) -> Server:
    """A Celery worker with one child."""
    arguments = ["celery", "-A", f"services.{service}.worker", "worker", "-Q", queue, "-c", "1", "--loglevel", "INFO"]
    return Server(f"worker-{queue}", [*arguments, "-n", f"{queue}@%h"], log_folder, env)


def start_sweeper(log_folder: Path, env: Mapping[str, str] | None = None) -> Server:
    """The sweeper."""
    return Server("sweeper", ["shared.jobs.sweeper"], log_folder, env)
