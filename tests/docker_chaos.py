"""`make chaos-docker`: kill each container of the compose file once, under load, and look from outside.

What is killed dies as in a crash (SIGKILL to its first process, so that the engine starts it again by itself). After
each kill: every container healthy again, and every job that was accepted before has ended. At the end: every accepted
job succeeded, no id was ever unknown, no state went back, no POST waited longer than three seconds, a key that was sent
twice made one job, and a repeat of the whole pipeline finds nothing that was lost or doubled.

A program and no pytest module, like tests/docker_smoke.py. SEED= for another order. The figures go into
benchmarks/results/chaos_docker.json, too.
"""

import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from typing import Any

import httpx

from tests.docker_load import Load
from tests.docker_smoke import PIPELINE, run_pipeline
from tests.docker_stack import REPOSITORY, TERMINAL, Stack, throw_away_stack, timed, wait_until

_HEALTHY_SECONDS, _ENDED_SECONDS = 120, 300
_WARM_UP_JOBS = 6
_REPORT = REPOSITORY / "benchmarks" / "results" / "chaos_docker.json"


def kill(stack: Stack, name: str) -> None:
    """SIGKILL from outside the container. Where the engine runs in a virtual machine its processes can't be reached:
    there the engine kills it, which it takes for an order, and starts it again by ours."""
    container = stack.containers()[name]
    try:
        os.kill(container["State"]["Pid"], signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        subprocess.run(["docker", "kill", container["Id"]], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["docker", "start", container["Id"]], check=True, stdout=subprocess.DEVNULL)


def is_back(stack: Stack, name: str, started_before: str) -> bool:
    """It was started anew, and all containers are healthy."""
    states = {one: item["State"] for one, item in stack.containers().items() if one != "migrate"}
    is_new = states[name]["StartedAt"] != started_before and states[name]["Status"] == "running"
    return is_new and all(state.get("Health", {}).get("Status") == "healthy" for state in states.values())


def kill_and_watch(stack: Stack, load: Load, name: str) -> dict[str, float]:
    """Seconds until it was healthy again, and until the last job accepted before the kill had ended."""
    started_before = stack.containers()[name]["State"]["StartedAt"]
    wait_until(lambda: len(load.open_since(time.monotonic())) >= 3, f"there is work before {name} is killed", 60)
    killed_at = time.monotonic()
    kill(stack, name)
    wait_until(lambda: is_back(stack, name, started_before), f"{name} is back", _HEALTHY_SECONDS)
    healthy = time.monotonic() - killed_at
    wait_until(lambda: not load.open_since(killed_at), f"jobs from before {name}'s end have ended", _ENDED_SECONDS)
    seconds = {"healthy": round(healthy, 1), "ended": round(time.monotonic() - killed_at, 1)}
    print(
        f"chaos-docker: {name}: healthy after {seconds['healthy']} s, jobs ended after {seconds['ended']} s", flush=True
    )
    return seconds


def find_doubled(stack: Stack, load: Load) -> list[str]:
    """Keys that stand for two jobs: each is sent once more, and must give the job that it gave before."""
    doubled = []
    for job_id, one in load.jobs.items():
        if one.kind != "sync":
            continue
        headers = {"Authorization": f"Bearer {stack.key}", "Idempotency-Key": one.key}
        again = httpx.post(f"{stack.urls['ingest']}/v1/syncs", headers=headers, json=PIPELINE["sync"], timeout=10)
        if again.json().get("id") != job_id:
            doubled.append(f"key {one.key}: {job_id}, and then {again.text}")
    return doubled


def check_rows(stack: Stack, leads_before: list[Any]) -> list[str]:
    """What differs from the day before the kills: nothing was lost and nothing was doubled."""
    again = run_pipeline(stack)
    differences = [f"a repeat of the sync finds {key}" for key in ("inserted", "changed") if again["sync"][key] != 0]
    leads = stack.call("scoring", "GET", "/v1/leads")["items"]
    counts = Counter(lead["account_id"] for lead in leads)
    differences += [f"{count} leads of {account}" for account, count in counts.items() if count != 1]
    if sorted(counts) != sorted(lead["account_id"] for lead in leads_before):
        differences.append(f"leads of other accounts than before: {sorted(counts)}")
    return differences


def report(load: Load, recovery: dict[str, dict[str, float]], lost: list[str], doubled: list[str], seed: int) -> None:
    """The figures, for people and for machines."""
    figures = {
        "seed": seed,
        "kills": len(recovery),
        "accepted": len(load.jobs),
        "by_kind": dict(Counter(one.kind for one in load.jobs.values())),
        "attempts": dict(Counter(str(one.job.get("attempts")) for one in load.jobs.values())),
        "refused_and_sent_again": load.refused,
        "lost": len(lost),
        "doubled": len(doubled),
        "violations": len(load.violations),
        "slowest_post_seconds": round(load.slowest_post_seconds, 2),
        "recovery_seconds": recovery,
    }
    _REPORT.parent.mkdir(parents=True, exist_ok=True)
    _REPORT.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2), flush=True)


def main() -> None:
    """Exit code 1, with what was broken, unless all of it held."""
    seed = int(os.environ.get("SEED", "1"))
    with throw_away_stack("chaos-docker") as stack:
        timed("chaos-docker", "a pipeline before", lambda: run_pipeline(stack))
        leads = stack.call("scoring", "GET", "/v1/leads")["items"]
        victims = sorted(set(stack.containers()) - {"migrate"})
        random.Random(seed).shuffle(victims)
        with Load(stack, leads[0]["account_id"], seed) as load:
            wait_until(lambda: _ended(load) >= _WARM_UP_JOBS, "the load has begun", 180)
            recovery = {name: kill_and_watch(stack, load, name) for name in victims}
            load.pause()
            wait_until(lambda: not load.open_since(time.monotonic()), "every accepted job has ended", _ENDED_SECONDS)
        lost = [json.dumps(one.job) for one in load.jobs.values() if one.state != "succeeded"]
        doubled = find_doubled(stack, load) + check_rows(stack, leads)
        report(load, recovery, lost, doubled, seed)
        broken = [*load.violations, *lost, *doubled]
        assert not broken, "\n".join(broken)
    print("chaos-docker: passed", flush=True)


def _ended(load: Load) -> int:
    return sum(one.state in TERMINAL for one in list(load.jobs.values()))


if __name__ == "__main__":
    main()
