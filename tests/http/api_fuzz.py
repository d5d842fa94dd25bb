"""`make api-fuzz`: schemathesis tries the three services by their own description, over HTTP, in real processes.

The operations database is a migrated SQLite file; no worker runs, so jobs stay as they are accepted. Left out are the
two streams of events: they end when their job does, and here none ends. Examples and coverage run once, fuzzing and
stateful again and again until the time is up.

    python -m tests.http.api_fuzz [--seconds N] [--seed N] [service ...]
"""

import argparse
import os
import subprocess  # nosec B404 - fixed commands, no shell
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from shared.operations.migrate import migrate
from tests.servers import ApiServer

ROOT = Path(__file__).parents[2]
CONFIG = Path(__file__).parent / "schemathesis.toml"
SERVICES = ("ingest", "transform", "scoring")
PHASES = ("examples", "coverage", "fuzzing", "stateful")
EXAMPLES = 50  # of each operation, each time that fuzzing comes round
SECRETS = {  # webhooks have their doors; nobody here has a signature
    "GTM_WEBHOOK_SECRET": "whsec_" + "QUFB" * 11,
    "GTM_HUBSPOT_WEBHOOK_SECRET": "a-client-secret-of-forty-characters-----",
    "GTM_PUBLIC_URL": "https://gtm.example.com",
    "GTM_SALESFORCE_WEBHOOK_TOKEN": "a-token-of-forty-characters--------------",
    "GTM_SALESFORCE_ORGANIZATION_ID": "00D000000000001AAA",
}


Done = subprocess.CompletedProcess[str]


def fuzz(service: str, folder: Path, *, seconds: int, seed: int) -> Done:
    """Serve it with a key, and try it in all phases."""
    var = folder / service
    var.mkdir(parents=True)
    migrate(f"sqlite:///{var / 'operations.sqlite3'}")
    key = _make_key(var)
    env = {**_environment(var), "GTM_ENV": "production", "GTM_QUEUE_LIMIT": "1000000"}
    server = ApiServer(service, folder / "logs", env)
    try:
        server.wait_ready()
        description = ROOT / "openapi" / f"{service}.json"
        options = ["--header", f"Authorization: Bearer {key}", "--seed", str(seed), "--max-time", str(seconds)]
        done = try_all(description, server.url, folder, phases=PHASES, examples=EXAMPLES, options=options)
        assert server.process.poll() is None, server.log()
        crashes = [line for line in server.log().splitlines() if "request_crashed" in line]
        assert not crashes, crashes[:3]
        return done
    finally:
        server.stop()


def try_all(
    description: Path, url: str, folder: Path, *, phases: Sequence[str], examples: int, options: Sequence[str] = ()
) -> Done:
    """What schemathesis says is in `stdout`, and its exit code is 0 where it found nothing."""
    tool = Path(sys.executable).parent / "schemathesis"
    command = [str(tool), "--no-color", "--config-file", str(CONFIG), "run", str(description), "--url", url]
    command += ["--phases", ",".join(phases), "--max-examples", str(examples), *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)  # nosec B603


def _environment(var: Path) -> dict[str, str]:
    return {"GTM_DATA_DIR": str(var), "GTM_ENV_FILE": os.devnull, "REDIS_URL": "redis://127.0.0.1:1/0", **SECRETS}


def _make_key(var: Path) -> str:
    command = [sys.executable, "-m", "shared.access", "create", "--name", "fuzz", "--scope", "admin"]
    made = subprocess.run(  # nosec B603
        command, cwd=ROOT, env={**os.environ, **_environment(var)}, capture_output=True, text=True, check=True
    )
    return made.stdout.strip()


def main() -> int:
    """Exit code 1 where anything was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=300, help="for each service")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3)))
    parser.add_argument("services", nargs="*", default=list(SERVICES))
    asked = parser.parse_args()
    is_well = True
    with tempfile.TemporaryDirectory(prefix="gtm-fuzz-") as name:
        for service in asked.services:
            done = fuzz(service, Path(name), seconds=asked.seconds, seed=asked.seed)
            sys.stdout.write(f"{service}, seed {asked.seed}\n{done.stdout}{done.stderr}\n")
            is_well = is_well and done.returncode == 0
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
