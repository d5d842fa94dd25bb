"""The stand-in for Snowflake as a process of its own, for as long as it is entered; a database of one's own in it."""

import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, Self

import httpx
import pytest

from shared.settings import WarehouseSettings
from tests.conftest import REPOSITORY, wait_until

_STOP_SECONDS: Final = 15
slow = pytest.mark.skipif("WAREHOUSE_FAULTS" not in os.environ, reason="takes long: make snowflake-faults")
_databases = itertools.count(1)


class SnowflakeEmulator:
    """`url` answers between enter and exit. `folder` has its log, and with `keeps` its databases, which else are in
    memory."""

    def __init__(self, folder: Path, *arguments: str, keeps: bool = False) -> None:
        self._folder = folder
        self._command = [sys.executable, "-m", "tests.fakes.snowflake_server", *arguments]
        self._command += ["--db", str(folder / "databases")] if keeps else []
        self.url = ""

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._out, self._log = self._folder / "url", self._folder / "emulator.log"
        with self._out.open("w") as out, self._log.open("w") as log:
            self.process = subprocess.Popen(self._command, cwd=REPOSITORY, env={**os.environ}, stdout=out, stderr=log)
        wait_until(self._has_said, "the emulator answers", seconds=60)
        self.url = self._out.read_text().strip()
        self._client = httpx.Client(base_url=self.url, timeout=30)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self.process.terminate()
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def environment(self, database: str) -> dict[str, str]:
        """What names it to the product."""
        named = {key: "gtm" for key in ("ACCOUNT", "USER", "PASSWORD", "WAREHOUSE", "ROLE")}
        return {
            "GTM_WAREHOUSE": "snowflake",
            "GTM_ENV": "local",
            **{f"SNOWFLAKE_{key}": value for key, value in named.items()},
            "SNOWFLAKE_DATABASE": database,
            "GTM_SNOWFLAKE_HOST": "127.0.0.1",
            "GTM_SNOWFLAKE_PORT": str(self.port),
            "GTM_SNOWFLAKE_PROTOCOL": "http",
            "GTM_SNOWFLAKE_NETWORK_TIMEOUT_SECONDS": "2",
            "GTM_SNOWFLAKE_LOGIN_TIMEOUT_SECONDS": "5",
        }

    def settings(self, database: str | None = None, **others: Any) -> WarehouseSettings:
        """Of a database that no other test has."""
        return WarehouseSettings.model_validate(self.environment(database or new_database()) | others)

    def statements(self) -> dict[str, Any]:
        """Counts since the last reset."""
        return self._client.get("/fake/statements").raise_for_status().json()

    def reset(self) -> None:
        """Count anew, and take all faults away."""
        self._client.post("/fake/statements/reset").raise_for_status()
        self._client.delete("/fake/faults").raise_for_status()

    def log(self, match: str = "") -> list[dict[str, Any]]:
        """The last statements."""
        return self._client.get("/fake/log", params={"match": match}).raise_for_status().json()

    def fail(self, **fault: Any) -> None:
        """See tests/fakes/snowflake_faults.py."""
        self._client.post("/fake/faults", json=fault).raise_for_status()

    def _has_said(self) -> bool:
        assert self.process.poll() is None, self._log.read_text()
        return self._out.read_text().endswith("\n")


def new_database() -> str:
    """A name."""
    return f"GTM_{os.getpid()}_{next(_databases)}"
