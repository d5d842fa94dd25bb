"""What a check found: one line for a person, one object for a program."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Outcome = Literal["ok", "warn", "fail", "skip"]


@dataclass(frozen=True)
class Finding:
    """`mends`: statements or commands, each to be run as it stands (GRANTs by an administrator of the account)."""

    check: str
    outcome: Outcome
    said: str
    mends: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {**asdict(self), "mends": list(self.mends)}


def ok(check: str, said: str) -> Finding:
    """As it should be."""
    return Finding(check, "ok", said)


def warn(check: str, said: str, *mends: str) -> Finding:
    """Works, and will cost or break something later."""
    return Finding(check, "warn", said, mends)


def fail(check: str, said: str, *mends: str) -> Finding:
    """Jobs fail because of it."""
    return Finding(check, "fail", said, mends)


def skip(check: str, said: str) -> Finding:
    """Not looked at, and why."""
    return Finding(check, "skip", said)
