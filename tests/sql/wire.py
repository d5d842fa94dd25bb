"""The emulator as a process, and every statement that came to it over the wire."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.emulator import SnowflakeEmulator
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
    """A running emulator, with what a process needs to take it for Snowflake. `steps` are the stretches of its record
    that a name was given to."""

    environment: dict[str, str]
    record: Path
    steps: dict[str, tuple[int, int]] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """What comes meanwhile belongs to this step; for one caller at a time."""
        before = len(self.statements())
        yield
        self.steps[name] = (before, len(self.statements()))

    def by_step(self) -> dict[str, list[Statement]]:
        """Of each step, in their order."""
        everything = self.statements()
        return {name: everything[first:last] for name, (first, last) in self.steps.items()}

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
    """Ended with the block."""
    record = folder / "statements.jsonl"
    with SnowflakeEmulator(folder, "--record", str(record)) as emulator:
        yield Wire(emulator.environment("gtm"), record)
