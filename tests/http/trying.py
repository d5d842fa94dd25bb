"""One run of schemathesis against a server that answers."""

import os
import subprocess  # nosec B404 - fixed commands, no shell
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONFIG = Path(__file__).parent / "schemathesis.toml"
PHASES = ("examples", "coverage", "fuzzing", "stateful")

Done = subprocess.CompletedProcess[str]


def try_all(
    description: Path,
    url: str,
    folder: Path,
    *,
    examples: int,
    options: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> Done:
    """In all phases. What it says is in `stdout`; 0 is the exit code where it found nothing."""
    tool = Path(sys.executable).parent / "schemathesis"
    command = [str(tool), "--no-color", "--config-file", str(CONFIG), "run", str(description), "--url", url]
    command += ["--phases", ",".join(PHASES), "--max-examples", str(examples), *options]
    environment = os.environ | dict(env or {})
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)  # nosec B603
