"""Where results go: `evaluation/results/`, out of version control like those of benchmarks."""

import json
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

RESULTS: Final = Path(__file__).parent / "results"


def write_result(name: str, result: Mapping[str, Any]) -> Path:
    """`evaluation/results/<name>.json`; an earlier one is replaced."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    stamped = {"name": name, **result, "machine": machine, "at": datetime.now(UTC).isoformat(timespec="seconds")}
    path.write_text(json.dumps(stamped, indent=2) + "\n")
    return path
