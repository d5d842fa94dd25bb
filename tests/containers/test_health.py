"""The images' health check. The sign of life that it reads is made by a real worker in test_redis_users.py."""

import os
import subprocess
import sys
from pathlib import Path

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
