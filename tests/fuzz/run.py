"""`make fuzz SECONDS=600`: each fuzzer for so long, two at a time; what they did in benchmarks/results/fuzz.json.

atheris drives the webhooks and their signatures, guided by coverage; hypothesis drives those and all other parsers with
input that is nearly right. Anything that a target raises is a crash: it is told with its input, which becomes a line of
test_crashes.py, and the run fails.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any

from hypothesis import HealthCheck, given, seed, settings

from tests.conftest import REPOSITORY
from tests.fuzz.strategies import FOR
from tests.fuzz.targets import PARSERS, WEBHOOKS

_ROUND = 200
_ATHERIS = "webhooks by coverage"
FUZZERS = {
    "webhooks": sorted(WEBHOOKS),
    "files": ["csv_file", "json_lines", "packed_file"],
    "answers": ["model_answer", "crm_answer", "crm_headers"],
    "dates and money": ["change_times", "money"],
}
_RESULTS = REPOSITORY / "benchmarks" / "results" / "fuzz.json"


def by_hypothesis(names: list[str], seconds: float, first_seed: int) -> dict[str, Any]:
    """Rounds of other seeds, one target after the other, until the time is up."""
    done, number, deadline = dict.fromkeys(names, 0), first_seed, time.monotonic() + seconds
    while time.monotonic() < deadline:
        for name in names:
            done[name] += _round(name, number)
        number += 1
    return {"executions": sum(done.values()), "targets": done, "seeds": number - first_seed}


def _round(name: str, number: int) -> int:
    target, done = {**WEBHOOKS, **PARSERS}[name], 0

    @seed(number)
    @settings(max_examples=_ROUND, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(data=FOR[name])
    def hold(data: bytes) -> None:
        nonlocal done
        done += 1
        try:
            target(data)
        except BaseException as error:
            error.add_note(f"tests/fuzz/test_crashes.py: ({name!r}, {data!r})")
            raise

    hold()
    return done


def _in_a_process(name: str, seconds: float, first_seed: int) -> dict[str, Any]:
    """A crash of the interpreter itself is one, too."""
    is_atheris = name == _ATHERIS
    module = "tests.fuzz.by_atheris" if is_atheris else "tests.fuzz.run"
    arguments = ["--seconds", str(seconds), "--seed", str(first_seed)] + ([] if is_atheris else ["--child", name])
    started = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True, errors="replace", cwd=REPOSITORY
    )
    result: dict[str, Any] = {"crashes": int(ended.returncode != 0), "seconds": round(time.monotonic() - started)}
    if ended.returncode:
        result["said"] = (ended.stdout + ended.stderr)[-4000:]
    elif is_atheris:
        executions = re.search(r"stat::number_of_executed_units: (\d+)", ended.stderr)
        coverage = re.findall(r"cov: (\d+)", ended.stderr)
        result |= {"executions": int(executions[1]) if executions else 0, "edges": int(coverage[-1]) if coverage else 0}
    else:
        result |= json.loads(ended.stdout.splitlines()[-1])
    return {"fuzzer": name, "by": "atheris" if is_atheris else "hypothesis", **result}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", help="a part of the names")
    parser.add_argument("--child", help="one of hypothesis, in this process")
    chosen = parser.parse_args()
    if chosen.child:
        print(json.dumps(by_hypothesis(FUZZERS[chosen.child], chosen.seconds, chosen.seed)))
        return
    names = ([_ATHERIS] if find_spec("atheris") else []) + list(FUZZERS)
    if _ATHERIS not in names:
        print("atheris is not installed (it has wheels for Linux): hypothesis alone", file=sys.stderr)
    names = [name for name in names if not chosen.only or chosen.only in name]
    print(f"seed {chosen.seed}, {chosen.seconds:.0f} s each, {len(names)} fuzzers", flush=True)
    results = []
    with ThreadPoolExecutor(2) as pool:
        for one in pool.map(lambda name: _in_a_process(name, chosen.seconds, chosen.seed), names):
            results.append(one)
            print(json.dumps(one), flush=True)
    crashes = sum(one["crashes"] for one in results)
    if not chosen.only:
        _write(results, chosen.seed, crashes)
    sys.exit(f"{crashes} of {len(results)} fuzzers crashed" if crashes else 0)


def _write(results: list[dict[str, Any]], first_seed: int, crashes: int) -> None:
    load = os.getloadavg()[2]
    content = {"seed": first_seed, "crashes": crashes, "load": round(load, 1), "fuzzers": results}
    _RESULTS.parent.mkdir(parents=True, exist_ok=True)
    _RESULTS.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
