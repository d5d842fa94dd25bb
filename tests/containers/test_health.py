"""The images' health check, and the sign of life that it reads from a real worker."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import RedisServer, wait_until

REPOSITORY = Path(__file__).parent.parent.parent


def _check(alive_file: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(REPOSITORY / "docker" / "healthcheck.py")]
    return subprocess.run(command, env={"GTM_ALIVE_FILE": str(alive_file)}, capture_output=True, text=True)


def test_a_fresh_sign_of_life_is_healthy_and_an_old_or_missing_one_is_not(tmp_path: Path) -> None:
    alive_file = tmp_path / "worker.alive"
    missing = _check(alive_file)
    assert missing.returncode == 1 and "not in touch with Redis yet" in missing.stderr
    alive_file.touch()
    assert _check(alive_file).returncode == 0
    os.utime(alive_file, (0, 0))
    stale = _check(alive_file)
    assert stale.returncode == 1 and "last in touch with Redis" in stale.stderr


@pytest.mark.processes
def test_a_worker_keeps_touching_its_alive_file(redis_server: RedisServer, tmp_path: Path) -> None:
    alive_file = tmp_path / "worker.alive"
    command = [sys.executable, "-m", "celery", "-A", "services.ingest.worker", "worker", "-Q", "ingest", "-P", "solo"]
    environment = os.environ | {"GTM_ALIVE_FILE": str(alive_file)}
    with subprocess.Popen(command, cwd=REPOSITORY, env=environment, stderr=subprocess.DEVNULL) as worker:
        try:
            wait_until(alive_file.exists, "the worker is in touch with Redis")
            first = alive_file.stat().st_mtime_ns
            wait_until(lambda: alive_file.stat().st_mtime_ns > first, "it says so again")
        finally:
            worker.terminate()
