"""Where the stack's processes listen: wishes from the settings, made real on free ports, kept in endpoints.json."""

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import redis

from local.settings import LOCAL_MODEL_NAME, LocalSettings

LOOPBACK = "127.0.0.1"
_PROBE_SECONDS = 1.0
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy has no business on this machine


@dataclass(frozen=True)
class Endpoints:
    """What endpoints.json holds, all of it URLs but `ollama_model` and `logs` (a folder).

    `brings_redis` and `brings_model` say whether the stack runs them itself.
    """

    ingest: str
    transform: str
    scoring: str
    redis: str
    ollama: str
    ollama_model: str
    logs: str
    brings_redis: bool
    brings_model: bool
    snowflake: str = ""
    """Of the stand-in for Snowflake; empty: the stack brings none."""


def choose_endpoints(settings: LocalSettings, say: Callable[[str], None]) -> Endpoints:
    """Reuse the user's Redis and Ollama where they are, and give everything else a free port.

    `say` is told each port that isn't the wished one.
    """
    chosen: set[int] = set()

    def url(name: str, host: str, wish: int, key: str) -> str:
        port = wish if wish not in chosen and _is_free(host, wish) else _any_free_port(host)
        chosen.add(port)
        if port != wish:
            say(f"Port {wish} ({key}) is taken: {name} listens on {port} instead.")
        return f"http://{_reachable(host)}:{port}"

    host = settings.host
    brings_redis = settings.redis_url is None
    redis_url = (
        url("redis", LOOPBACK, settings.redis_port, "GTM_REDIS_PORT").replace("http", "redis") + "/0"
        if settings.redis_url is None
        else settings.redis_url.get_secret_value()
    )
    ollama, ollama_model = settings.ollama_host, settings.ollama_model
    brings_model = not model_answers(ollama, settings.model_api)
    if brings_model:
        ollama, ollama_model = url("model", LOOPBACK, settings.model_port, "GTM_MODEL_PORT"), LOCAL_MODEL_NAME
    return Endpoints(
        ingest=url("ingest", host, settings.ingest_port, "GTM_INGEST_PORT"),
        transform=url("transform", host, settings.transform_port, "GTM_TRANSFORM_PORT"),
        scoring=url("scoring", host, settings.scoring_port, "GTM_SCORING_PORT"),
        redis=redis_url,
        ollama=ollama,
        ollama_model=ollama_model,
        logs=str(settings.local_dir / "logs"),
        brings_redis=brings_redis,
        brings_model=brings_model,
        snowflake=(
            f"http://{LOOPBACK}:{_any_free_port(LOOPBACK)}" if settings.warehouse == "snowflake-emulator" else ""
        ),
    )


def write_endpoints(path: Path, endpoints: Endpoints) -> None:
    """For the owner's eyes: REDIS_URL may hold a password."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(asdict(endpoints), indent=2) + "\n")


def read_endpoints(path: Path) -> Endpoints | None:
    """None where no stack has been started."""
    try:
        return Endpoints(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None


def model_answers(hosts: str, api: str) -> bool:
    """One of the comma-separated hosts speaks this API (GTM_MODEL_API), and says so within a second."""
    path = "/v1/models" if api == "openai" else "/api/version"
    return any(http_answers(f"{_with_scheme(host)}{path}") for host in hosts.split(",") if host.strip())


def http_answers(url: str) -> bool:
    """GET gives 200 within a second, or asks for a key."""
    try:
        with _DIRECT.open(url, timeout=_PROBE_SECONDS) as response:
            return bool(response.status == 200)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code == 401
    except (urllib.error.URLError, OSError, ValueError):
        return False


def redis_answers(url: str) -> bool:
    """PING gives PONG within a second."""
    try:
        with redis.Redis.from_url(url, socket_timeout=_PROBE_SECONDS, socket_connect_timeout=_PROBE_SECONDS) as client:
            return bool(client.ping())
    except (redis.RedisError, OSError, ValueError):
        return False


def port_of(url: str) -> int:
    """The port of a URL that the stack chose itself."""
    return int(url.rsplit(":", 1)[1].split("/")[0])


def _with_scheme(host: str) -> str:
    host = host.strip().rstrip("/")
    return host if "://" in host else f"http://{host}"


def _reachable(host: str) -> str:
    return LOOPBACK if host in {"0.0.0.0", "::", ""} else host  # nosec B104: compared, not bound


def _is_free(host: str, port: int) -> bool:
    """Nobody listens there, also not on the wildcard address, which some systems let one bind beside."""
    with socket.socket() as probe:
        probe.settimeout(_PROBE_SECONDS)
        if probe.connect_ex((_reachable(host), port)) == 0:
            return False
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError:
        return False
    return True


def _any_free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
