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
from pathlib import Path

from shared.operations.migrate import migrate
from tests.break_in.target import HUBSPOT_SECRET, ORGANIZATION, PUBLIC_URL, SALESFORCE_TOKEN, WEBHOOK_SECRET
from tests.http.trying import ROOT, Done, try_all
from tests.servers import ApiServer

SERVICES = ("ingest", "transform", "scoring")
EXAMPLES = 50  # of each operation, each time that fuzzing comes round
SECRETS = {  # fuzz_hooks.py signs with them
    "GTM_WEBHOOK_SECRET": WEBHOOK_SECRET,
    "GTM_HUBSPOT_WEBHOOK_SECRET": HUBSPOT_SECRET,
    "GTM_PUBLIC_URL": PUBLIC_URL,
    "GTM_SALESFORCE_WEBHOOK_TOKEN": SALESFORCE_TOKEN,
    "GTM_SALESFORCE_ORGANIZATION_ID": ORGANIZATION,
}


def fuzz(service: str, folder: Path, *, seconds: int, seed: int) -> Done:
    """Serve it with a key, and try it in all phases."""
    var = folder / service
    var.mkdir(parents=True)
    migrate(f"sqlite:///{var / 'operations.sqlite3'}")
    key = _run(var, "shared.access", "create", "--name", "fuzz", "--scope", "admin")
    build_id = _run(var, "tests.http.fuzz_data", service) if service != "ingest" else ""
    env = {**_environment(var), "GTM_ENV": "production", "GTM_QUEUE_LIMIT": "1000000"}
    server = ApiServer(service, folder / "logs", env)
    try:
        server.wait_ready()
        description = ROOT / "openapi" / f"{service}.json"
        options = ["--header", f"Authorization: Bearer {key}", "--seed", str(seed), "--max-time", str(seconds)]
        hooks = {"PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.http.fuzz_hooks", "FUZZ_BUILD_ID": build_id}
        done = try_all(description, server.url, folder, examples=EXAMPLES, options=options, env=hooks)
        assert server.process.poll() is None, server.log()
        crashes = [line for line in server.log().splitlines() if "request_crashed" in line]
        assert not crashes, crashes[:3]
        return done
    finally:
        server.stop()


def _run(var: Path, module: str, *arguments: str) -> str:
    command = [sys.executable, "-m", module, *arguments]
    env = {**os.environ, **_environment(var)}
    return subprocess.run(  # nosec B603
        command, cwd=ROOT, env=env, capture_output=True, text=True, check=True
    ).stdout.strip()


def _environment(var: Path) -> dict[str, str]:
    return {"GTM_DATA_DIR": str(var), "GTM_ENV_FILE": os.devnull, "REDIS_URL": "redis://127.0.0.1:1/0", **SECRETS}


def main() -> int:
    """Exit code 1 where anything was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=180, help="for each service")
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
