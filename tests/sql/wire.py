"""The emulator as a process, and every statement that came to it over the wire."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import REPOSITORY
from tests.fakes.snowflake_statements import needs_warehouse


@dataclass(frozen=True)
class Statement:
    """One as Snowflake would have got it, values written out; `rows`: returned or touched."""

    sql: str
    kind: str
    tag: str
    session: str
    failed: bool
    rows: int | None

    @property
    def wakes(self) -> bool:
        """Whether it needs a running warehouse."""
        return needs_warehouse(self.kind, self.sql)


@dataclass
class Wire:
    """A running emulator; `steps` are the stretches of its record that a name was given to."""

    url: str
    record: Path
    steps: dict[str, list[Statement]] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to take the emulator for Snowflake."""
        host, _, port = self.url.removeprefix("http://").partition(":")
        keys = ("ACCOUNT", "USER", "PASSWORD", "WAREHOUSE", "DATABASE", "ROLE")
        return {
            **{f"SNOWFLAKE_{key}": "gtm" for key in keys},
            "GTM_ENV": "local",
            "GTM_WAREHOUSE": "snowflake",
            "GTM_SNOWFLAKE_HOST": host,
            "GTM_SNOWFLAKE_PORT": port,
            "GTM_SNOWFLAKE_PROTOCOL": "http",
        }

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """What comes meanwhile belongs to this step; for one caller at a time."""
        before = len(self.statements())
        yield
        self.steps[name] = self.statements()[before:]

    def statements(self) -> list[Statement]:
        """All so far, in their order."""
        if not self.record.exists():
            return []
        found = []
        for line in self.record.read_text().splitlines():
            one = json.loads(line)
            failed = one["code"] is not None
            found.append(Statement(one["text"], one["kind"], one["tag"], one["session"], failed, one["rows"]))
        return found


@contextmanager
def running_emulator(folder: Path) -> Iterator[Wire]:
    """Started as the demo starts it; ended with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / "statements.jsonl"
    command = [sys.executable, "-m", "tests.fakes.snowflake_server", "--port", "0"]
    command += ["--db", str(folder / "snowflake"), "--record", str(record)]
    with (folder / "emulator.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=log, env=dict(os.environ))
        assert process.stdout is not None
        try:
            url = process.stdout.readline().decode().strip()
            assert url.startswith("http://"), (folder / "emulator.log").read_text()
            threading.Thread(target=process.stdout.read, daemon=True).start()  # so that it never blocks on a full pipe
            yield Wire(url, record)
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()
