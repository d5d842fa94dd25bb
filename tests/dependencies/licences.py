"""`python -m tests.dependencies.licences`: every package of the locks against the licences that we may use.

`make licences` lists them (`--list`); `make check` refuses what requirements/licences.toml does not allow. A licence is
what the package's own metadata says. Debian packages of the base images are not looked at: Debian's main holds free
software alone.
"""

import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tests.dependencies.packages import IMAGES, REPOSITORY, find_installed, licensing, read_licence, read_lock

POLICY = REPOSITORY / "requirements" / "licences.toml"


@dataclass(frozen=True)
class Policy:
    """Licences for all; packages that may have another one, or whose own word we correct, each with its reason."""

    allowed: frozenset[str]
    packages: dict[str, dict[str, str]]

    def licence_of(self, name: str) -> str | None:
        """What we found out where the package's metadata says too little, else its own word."""
        corrected = self.packages.get(name, {}).get("licence")
        return corrected or read_licence(name)

    def allows(self, name: str, licence: str) -> bool:
        """Of `A OR B` one is enough, of `A AND B` both are needed."""
        accepted = self.packages.get(name, {}).get("accepted")
        return licence == accepted or self._allows(licensing().parse(licence))

    def _allows(self, node: Any) -> bool:
        if isinstance(node, licensing().OR):
            return any(self._allows(one) for one in node.args)
        if isinstance(node, licensing().AND):
            return all(self._allows(one) for one in node.args)
        return str(node.key) in self.allowed


@lru_cache
def read_policy(path: Path = POLICY) -> Policy:
    """requirements/licences.toml."""
    loaded = tomllib.loads(path.read_text())
    return Policy(frozenset(loaded["allowed"]), loaded["packages"])


def find_faults(policy: Policy, lock: Path) -> Iterator[str]:
    """One line per package that is not allowed, or can't be judged."""
    for pin, is_installed in find_installed(read_lock(lock)):
        if not is_installed:
            yield f"{pin.name}: is in {lock.name} and not installed here, so its licence can't be read: `make setup`"
            continue
        licence = policy.licence_of(pin.name)
        if licence is None:
            yield f"{pin.name}: tells no licence. Look it up, and write `licence` and `why` into {POLICY.name}"
        elif not policy.allows(pin.name, licence):
            yield f"{pin.name}: {licence} is not allowed. Take another package, or write `accepted` and `why`"


def find_leftovers(policy: Policy, names: set[str]) -> Iterator[str]:
    """Entries of the policy that nothing needs any more, or that give no reason."""
    for name, entry in policy.packages.items():
        if name not in names:
            yield f"{POLICY.name}: {name} is in no lock any more"
        elif not entry.get("why"):
            yield f"{POLICY.name}: {name} lacks its `why`"
        elif "accepted" in entry and Policy(policy.allowed, {}).allows(name, policy.licence_of(name) or "Unlicense"):
            yield f"{POLICY.name}: {name} needs no exception any more"


def locks() -> list[Path]:
    """All that is ever installed: dev.txt holds what the images have, and more."""
    return [REPOSITORY / "requirements" / f"{name}.txt" for name in ("dev", "local-model", "uv", *IMAGES)]


def main(arguments: list[str]) -> int:
    """Exit code 1 on a fault."""
    policy = read_policy()
    pins = {pin.name: (pin, is_installed) for lock in locks() for pin, is_installed in find_installed(read_lock(lock))}
    shipped = {pin.name for name in IMAGES for pin in read_lock(REPOSITORY / "requirements" / f"{name}.txt")}
    if "--list" in arguments:
        for name, (pin, is_installed) in sorted(pins.items()):
            licence = policy.licence_of(name) if is_installed else None
            where = "in images" if name in shipped else "development"
            sys.stdout.write(f"{name:36} {pin.version:16} {where:12} {licence or '?'}\n")
    faults = [fault for lock in locks() for fault in find_faults(policy, lock)]
    faults += find_leftovers(policy, set(pins))
    for fault in dict.fromkeys(faults):
        sys.stderr.write(f"{fault}\n")
    if not faults:
        sys.stdout.write(f"licences: {len(pins)} packages, all allowed by {POLICY.relative_to(REPOSITORY)}\n")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
