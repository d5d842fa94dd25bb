"""The compose file as one throw-away project: its own secrets, ports, volumes and settings."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import httpx

REPOSITORY = Path(__file__).resolve().parent.parent
SERVICES = ("ingest", "transform", "scoring")
TERMINAL = ("succeeded", "failed", "cancelled")
Result = TypeVar("Result")


def find_compose() -> list[str]:
    """`docker compose` where it answers, else `docker-compose` (v1)."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]) and subprocess.run([*command, "version"], capture_output=True).returncode == 0:
            return command
    sys.exit("Neither `docker compose` nor `docker-compose` answers: install one of them.")


def free_port(host: str = "127.0.0.1") -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def find_gateway() -> str:
    """The address of this machine that containers call `host.docker.internal`.

    The default bridge's gateway on Linux; loopback where the engine runs in a virtual machine and forwards to it.
    """
    template = "{{range .IPAM.Config}}{{.Gateway}} {{.Subnet}}{{end}}"
    shown = subprocess.check_output(["docker", "network", "inspect", "bridge", "--format", template], text=True).split()
    gateway = shown[0] if len(shown) == 2 else shown[-1].rsplit(".", 1)[0] + ".1"
    try:
        free_port(gateway)
    except OSError:
        return "127.0.0.1"
    return gateway


def wait_until(is_true: Callable[[], object], what: str, seconds: float) -> None:
    """Raises AssertionError when it did not come true in `seconds`."""
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(0.5)


def answers(url: str) -> bool:
    """GET gives 200."""
    try:
        return httpx.get(url, timeout=4).status_code == 200
    except httpx.HTTPError:
        return False


class Stack:
    """One compose project, from its secrets to its removal."""

    def __init__(self, model_url: str, folder: Path) -> None:
        self.compose = find_compose()
        self.project = f"gtm-smoke-{secrets.token_hex(3)}"
        self.key = ""  # of this stack's API, once it is up
        self.webhook_secret = "whsec_" + secrets.token_urlsafe(24).replace("-", "A").replace("_", "B")
        ports = {name: os.environ.get(f"GTM_{name.upper()}_PORT") or str(free_port()) for name in SERVICES}
        self.urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        (folder / "files").mkdir()
        self.secrets = folder / "secrets"
        subprocess.run(
            [REPOSITORY / "docker" / "make_secrets.sh", self.secrets],
            check=True,
            stdout=subprocess.DEVNULL,
            env=os.environ | {"COMPOSE_PROJECT_NAME": self.project},  # its volumes, and nobody else's
        )
        # Nothing of the caller's own settings: a smoke test must not land in somebody's Snowflake.
        kept = {key: os.environ[key] for key in os.environ if not key.startswith(("GTM_", "SNOWFLAKE_", "OLLAMA_"))}
        self.environment = kept | {
            "COMPOSE_PROJECT_NAME": self.project,
            "GTM_IMAGE_TAG": os.environ.get("DOCKER_TAG", "smoke"),
            "GTM_SECRETS_DIR": str(self.secrets),
            "GTM_WEBHOOK_SECRET": self.webhook_secret,
            "GTM_FILES_DIR": str(folder / "files"),
            "OLLAMA_HOST": model_url,
            "OLLAMA_MODEL": "smollm2:135m",
            **{f"GTM_{name.upper()}_PORT": port for name, port in ports.items()},
        }
        self._no_settings = folder / "empty.env"  # instead of the `.env` beside the compose file
        self._no_settings.touch()

    def run(self, *arguments: str, check: bool = True) -> None:
        """One compose command, its output where the caller sees it."""
        subprocess.run(self._command(*arguments), cwd=REPOSITORY, env=self.environment, check=check)

    def make_key(self, name: str, *scopes: str) -> str:
        """A new API key, made as an operator makes one: it alone is on stdout."""
        named = [argument for scope in scopes for argument in ("--scope", scope)]
        command = ["run", "--rm", "-T", "migrate", "python", "-m", "shared.access", "create", "--name", name, *named]
        done = subprocess.run(
            self._command(*command), cwd=REPOSITORY, env=self.environment, check=True, stdout=subprocess.PIPE, text=True
        )
        return done.stdout.strip()

    def containers(self) -> dict[str, dict[str, Any]]:
        """`docker inspect` of every container, by its service's name."""
        label = f"label=com.docker.compose.project={self.project}"
        ids = subprocess.check_output(["docker", "ps", "--all", "--quiet", "--filter", label], text=True).split()
        shown = json.loads(subprocess.check_output(["docker", "inspect", *ids])) if ids else []
        return {item["Config"]["Labels"]["com.docker.compose.service"]: item for item in shown}

    def is_healthy(self) -> bool:
        """All that keep running are; an unhealthy or exited one fails at once."""
        states = {name: item["State"] for name, item in self.containers().items() if name != "migrate"}
        for name, state in states.items():
            assert state["Status"] in ("created", "running"), f"{name} is {state['Status']}"
            assert state["Health"]["Status"] != "unhealthy", f"{name}: {state['Health']['Log'][-1]['Output']}"
        return all(state["Status"] == "running" and state["Health"]["Status"] == "healthy" for state in states.values())

    def shell(self, service: str, script: str) -> str:
        """What `sh -c` prints in a service's container, its exit code left aside."""
        command = ["docker", "exec", self.containers()[service]["Id"], "sh", "-c", script]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()

    def call(self, service: str, method: str, path: str, **arguments: Any) -> Any:
        """The JSON of one call with the key; AssertionError for any answer but 2xx."""
        headers = {"Authorization": f"Bearer {self.key}", **arguments.pop("headers", {})}
        response = httpx.request(method, self.urls[service] + path, headers=headers, timeout=30, **arguments)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text}"
        return response.json()

    def finish(self, job_id: str, seconds: float) -> Any:
        """The finished job; AssertionError with its error unless it succeeded."""
        job: dict[str, Any] = {}

        def is_finished() -> bool:
            job.update(self.call("ingest", "GET", f"/v1/jobs/{job_id}"))
            return job["state"] in TERMINAL

        wait_until(is_finished, f"job {job_id}", seconds)
        assert job["state"] == "succeeded", json.dumps(job, indent=2)
        return job

    def _command(self, *arguments: str) -> list[str]:
        return [*self.compose, "--env-file", str(self._no_settings), *arguments]


@contextmanager
def throw_away_stack(title: str) -> Iterator[Stack]:
    """Built, up and healthy, with a key in it; gone afterwards, but for the images. Prints the seconds of each step.

    When something fails, what the services said is printed first. The model is the project's local one, served on this
    machine as an Ollama on the host would be.
    """
    if subprocess.run(["docker", "info"], capture_output=True).returncode != 0:
        sys.exit(f"{title}: no Docker engine answers. Start one (`docker info` shows it), then try again.")
    signal.signal(signal.SIGTERM, _interrupt)  # so that the containers go away then, too
    with tempfile.TemporaryDirectory(prefix="gtm-smoke-") as folder, _model_server() as model_url:
        stack = Stack(model_url, Path(folder))
        if os.environ.get("DOCKER_BUILD") != "0":  # 0: the images as they are, for one more look at the same ones
            timed(title, "build", lambda: stack.run("build"))
        try:
            timed(title, "up and healthy", lambda: _bring_up(stack))
            yield stack
        except (AssertionError, httpx.HTTPError, subprocess.CalledProcessError):
            stack.run("ps", check=False)
            stack.run("logs", "--no-color", "--tail=60", check=False)
            raise
        finally:
            stack.run("down", "--volumes", "--remove-orphans", "--timeout", "10", check=False)


def timed(title: str, step: str, work: Callable[[], Result]) -> Result:
    """Prints the step's seconds."""
    started = time.monotonic()
    result = work()
    print(f"{title}: {step}: {time.monotonic() - started:.1f} s", flush=True)
    return result


def _bring_up(stack: Stack) -> None:
    stack.run("up", "-d")
    wait_until(stack.is_healthy, "every container is healthy", 240)
    stack.key = stack.make_key("smoke", "read", "run")


@contextmanager
def _model_server() -> Iterator[str]:
    """The local model on this machine; gives the URL under which containers see it."""
    host = find_gateway()
    port = free_port(host)
    command = [sys.executable, "-m", "local.model_server", "--host", host, "--port", str(port)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: answers(f"http://{host}:{port}/api/tags"), "the local model answers", 120)
            yield f"http://host.docker.internal:{port}"
        finally:
            process.terminate()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
