"""`python -m tests.chaos.run [campaign ...]`: everything breaks, and nothing may be lost. Exit code 1 where it was.

Writes benchmarks/results/chaos.json after each campaign. With the same --seed the same things break in the same order.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from tests.chaos.campaign import Course, Outcome, run_course, told
from tests.chaos.faults import ALL, DISK_FULL, OF_CLOCKS, OF_POSTGRES, Fault
from tests.chaos.house import Plan, ToyHouse
from tests.chaos.journeys import scorings, syncs_over_duckdb, syncs_over_snowflake
from tests.chaos.report import note, to_table
from tests.chaos.scenarios import cancel_everywhere, is_broken_fence_seen, poison, storm
from tests.conftest import find_redis_binary
from tests.postgres_server import PostgresServer

_LIBFAKETIME: Final = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"


def kills(chosen: argparse.Namespace, folder: Path) -> Outcome:
    """50 workers and 10 Redis killed, three of those losing everything, over 8,000 jobs."""
    dice = random.Random(chosen.seed)
    of_redis = [ALL["Redis killed 5 s"]] * (chosen.redis_kills - 3) + [ALL["Redis wiped"]] * 3
    of_workers = replace(ALL["worker killed"], is_alone=False)
    faults: list[Fault] = [of_workers] * chosen.worker_kills + of_redis
    dice.shuffle(faults)
    seconds = chosen.worker_kills * 5 + chosen.redis_kills * 35  # a guess: the load should last as long
    course = Course("50 workers and 10 Redis", faults, chosen.jobs, 1.3 * chosen.jobs / seconds, gap=(1, 5))
    with ToyHouse(folder, find_redis_binary(), Plan(env={"GTM_LOG_LEVEL": "WARNING"})) as house:
        return run_course(house, course, chosen.seed, say)


def matrix(chosen: argparse.Namespace, folder: Path) -> Outcome:
    """Each fault so many times, in a random order."""
    dice = random.Random(chosen.seed)
    faults = [fault for name, fault in ALL.items() if chosen.only in name for _ in range(chosen.times)]
    dice.shuffle(faults)
    course = Course("fault matrix", faults, 100_000, 15, gap=(0.5, 3), is_endless=True)
    with ToyHouse(folder, find_redis_binary(), Plan(sweepers=2)) as house:
        return run_course(house, course, chosen.seed, say)


def postgres(chosen: argparse.Namespace, folder: Path) -> Outcome:
    """The operations database on PostgreSQL, with its own faults and some of the others."""
    dice = random.Random(chosen.seed)
    others = [ALL[name] for name in ("worker killed", "child killed", "API killed", "Redis wiped", "Redis flushed")]
    faults = [*others, *(fault for fault in OF_POSTGRES.values() for _ in range(chosen.times))]
    dice.shuffle(faults)
    course = Course("on PostgreSQL", faults, 100_000, 15, gap=(0.5, 3), is_endless=True)
    with PostgresServer() as server:
        server.run("create database operations")
        with ToyHouse(folder, find_redis_binary(), Plan(sweepers=2, postgres=server)) as house:
            return run_course(house, course, chosen.seed, say)


def disk(chosen: argparse.Namespace, folder: Path) -> Outcome:
    """The file system of the operations database fills up: a small one of its own, for which one has to be root."""
    small = folder / "house" / "var"
    small.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", small], check=True)
    course = Course("disk full", [DISK_FULL] * chosen.times, 100_000, 15, gap=(2, 4), is_endless=True)
    try:
        with ToyHouse(small.parent, find_redis_binary(), Plan()) as house:
            return run_course(house, course, chosen.seed, say)
    finally:
        subprocess.run(["umount", "--lazy", small], check=True)


def clocks(chosen: argparse.Namespace, folder: Path) -> Outcome | None:
    """The machine's clock jumps by ten minutes, and back. Needs libfaketime: Debian's package, or LIBFAKETIME=."""
    library = Path(os.environ.get("LIBFAKETIME", _LIBFAKETIME))
    if not library.exists():
        say(f"  skipped: {library} is not there (apt install libfaketime, or LIBFAKETIME=)")
        return None
    faults = list(OF_CLOCKS) * chosen.times
    course = Course("clocks", faults, 100_000, 15, gap=(1, 3), is_endless=True)
    with ToyHouse(folder, find_redis_binary(), Plan(libfaketime=library)) as house:
        return run_course(house, course, chosen.seed, say)


def cancels(chosen: argparse.Namespace, folder: Path) -> Outcome:
    """See cancel_everywhere."""
    with ToyHouse(folder, find_redis_binary(), Plan()) as house:
        return cancel_everywhere(house, chosen.seed, count=20 * chosen.times)


def poisons(chosen: argparse.Namespace, folder: Path) -> Outcome:
    """See poison."""
    with ToyHouse(folder, find_redis_binary(), Plan()) as house:
        return poison(house, chosen.seed, count=chosen.times)


def events(chosen: argparse.Namespace, folder: Path) -> Outcome:
    """See storm."""
    faults = [ALL[name] for name in ("worker killed", "Redis flushed", "API killed", "Redis killed 5 s")]
    with ToyHouse(folder, find_redis_binary(), Plan()) as house:
        return storm(house, chosen.seed, faults * max(1, chosen.times // 5), events=250 * chosen.times)


def mutant(chosen: argparse.Namespace, folder: Path) -> Outcome:
    """The product without its fence: where nobody notices, the other campaigns say nothing."""
    faults = [ALL["worker frozen 26 s"]] * 3
    course = Course("without a fence", faults, 100_000, 15, gap=(0.5, 3), is_endless=True)
    with ToyHouse(folder, find_redis_binary(), Plan(env={"TOY_MUTANT": "no-fence"})) as house:
        return is_broken_fence_seen(run_course(house, course, chosen.seed, say))


def syncs(chosen: argparse.Namespace, folder: Path) -> Outcome:
    """See syncs_over_duckdb."""
    return syncs_over_duckdb(folder, chosen.seed, chosen.times)


def snowflake(chosen: argparse.Namespace, folder: Path) -> Outcome:
    """See syncs_over_snowflake."""
    return syncs_over_snowflake(folder, chosen.seed, chosen.times)


def model(chosen: argparse.Namespace, folder: Path) -> Outcome:
    """See scorings."""
    return scorings(folder, chosen.seed, chosen.times)


CAMPAIGNS: Final[dict[str, Callable[[argparse.Namespace, Path], Outcome | None]]] = {
    "kills": kills,
    "matrix": matrix,
    "postgres": postgres,
    "disk": disk,
    "clocks": clocks,
    "cancels": cancels,
    "poisons": poisons,
    "events": events,
    "mutant": mutant,
    "syncs": syncs,
    "snowflake": snowflake,
    "model": model,
}


def say(text: str) -> None:
    """At once, with the time."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 where all was good."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.run", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("campaigns", nargs="*", choices=[*CAMPAIGNS, []], default=list(CAMPAIGNS))
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    parser.add_argument("--times", type=int, default=5, help="each fault")
    parser.add_argument("--only", default="", help="faults of `matrix` whose names hold this")
    parser.add_argument("--jobs", type=int, default=8000, help="of `kills`")
    parser.add_argument("--worker-kills", type=int, default=50)
    parser.add_argument("--redis-kills", type=int, default=10)
    parser.add_argument("--keep", action="store_true", help="logs and databases of campaigns that were good, too")
    chosen = parser.parse_args(arguments)
    outcomes: list[Outcome] = []
    say(f"seed {chosen.seed}")
    for name in chosen.campaigns:
        folder = Path(tempfile.mkdtemp(prefix=f"gtm-chaos-{name}-"))
        say(f"{name} in {folder}")
        if (outcome := CAMPAIGNS[name](chosen, folder)) is None:
            continue
        outcomes.append(outcome)
        for line in told(outcome):
            say(line)
        print(to_table(note(outcome, chosen.seed)), flush=True)
        if outcome.is_good and not chosen.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return 0 if all(outcome.is_good for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
