"""What the locks name: packages, versions, hashes, and the licence that each package's own metadata tells."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from license_expression import ExpressionError, Licensing, get_spdx_licensing
from packaging.markers import Marker

REPOSITORY = Path(__file__).resolve().parent.parent.parent
IMAGES: Final = ("ingest", "transform", "scoring")

# Trove classifiers and common spellings of the old free-text field, by what they mean in SPDX. "BSD" alone leaves open
# which of the BSD licences; SPDX has no word for that.
_SPELLINGS: Final = {
    "3-clause bsd license": "BSD-3-Clause",
    "apache": "Apache-2.0",
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache-2": "Apache-2.0",
    "artistic license": "Artistic-1.0-Perl",
    "bsd": "LicenseRef-BSD",
    "bsd 2-clause license": "BSD-2-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
    "bsd license": "LicenseRef-BSD",
    "expat license": "MIT",
    "gnu general public license v2 or later (gplv2+)": "GPL-2.0-or-later",
    "gnu lesser general public license v2 or later (lgplv2+)": "LGPL-2.0-or-later",
    "isc license (iscl)": "ISC",
    "isc license": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "new bsd": "BSD-3-Clause",
    "python software foundation license": "PSF-2.0",
}
_VAGUE: Final = {"dfsg approved", "osi approved", "gnu general public license (gpl)", "dual license"}


@dataclass(frozen=True)
class Pin:
    """One line of a lock. `hashes` are SHA-256 of the wheels and archives that may be installed for it."""

    name: str
    version: str
    marker: str | None
    hashes: tuple[str, ...]

    @property
    def is_for_this_platform(self) -> bool:
        return self.marker is None or Marker(self.marker).evaluate()


def read_lock(path: Path) -> list[Pin]:
    """Every package that uv has pinned there, in its order."""
    text = path.read_text().replace("\\\n", " ")
    return [_to_pin(line) for line in text.splitlines() if re.match(r"[A-Za-z0-9]", line)]


def _to_pin(line: str) -> Pin:
    found = re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*])?==([^\s;]+)\s*(?:;\s*(.*?))?\s*(?=--hash|$)", line)
    assert found, f"no pin: {line}"
    return Pin(found[1].lower(), found[2], found[3] or None, tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})", line)))


def read_licence(name: str) -> str | None:
    """An SPDX expression, as the installed package tells it; None where it tells nothing that can be understood.

    Raises:
        importlib.metadata.PackageNotFoundError: it isn't installed here.
    """
    found = distribution(name)
    for told in _told_by(found):
        expression = _to_spdx(told)
        if expression is not None:
            return expression
    return None


def find_installed(pins: list[Pin]) -> Iterator[tuple[Pin, bool]]:
    """Each pin that is for this platform, and whether the package is here."""
    for pin in pins:
        if not pin.is_for_this_platform:
            continue
        try:
            distribution(pin.name)
        except PackageNotFoundError:
            yield pin, False
        else:
            yield pin, True


def _told_by(found: Distribution) -> Iterator[list[str]]:
    """The sources, best first. The free-text field often holds an SPDX name, which says more than the classifier `BSD
    License`. Of several classifiers all are meant: whether at once or by choice is left open, so all must be allowed.
    """
    metadata = found.metadata
    yield [value for value in [metadata.get("License-Expression")] if value]
    yield [line for line in (metadata.get("License") or "").splitlines()[:1] if line.lower() not in _VAGUE]
    classifiers = [
        one.rpartition(" :: ")[2] for one in metadata.get_all("Classifier") or [] if one.startswith("License")
    ]
    yield [one for one in classifiers if one.lower() not in _VAGUE]


def _to_spdx(told: list[str]) -> str | None:
    parts = [_SPELLINGS.get(one.strip().lower(), one.strip()) for one in told]
    if not parts:
        return None
    joined = " AND ".join(f"({one})" if " " in one and len(parts) > 1 else one for one in dict.fromkeys(parts))
    try:
        tree = licensing().parse(joined, validate=False)
    except ExpressionError:
        return None
    unknown = [key for key in licensing().unknown_license_keys(tree) if not key.startswith("LicenseRef-")]
    return None if unknown else str(tree)


@lru_cache
def licensing() -> Licensing:
    """SPDX's list of licences; reading it takes a moment."""
    return get_spdx_licensing()
