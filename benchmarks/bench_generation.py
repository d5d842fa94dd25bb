"""The generator at scale over a script that fakes one row at a time, and how much memory 10 M visits need.

`python -m benchmarks.bench_generation <visits> <dirt>` makes one market and prints what it took, as JSON.
"""

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from faker import Faker

from benchmarks.result import RUNS, BenchmarkResult
from services.ingest.domain.mock.generate import generate_tables
from services.ingest.domain.mock.options import MockOptions
from services.ingest.domain.mock.pools import CHANNELS, HIGH_INTENT_PAGES, OTHER_PAGES, SITE

VISITS = 10_000_000
FEWER_VISITS = 1_000_000
ACCOUNTS = 20_000
DIRT = 0.05
NAIVE_ROWS = 10_000
_MILLION = 1_000_000


def run() -> BenchmarkResult:
    """Ratios per million visits, from the first row of the market to the last: clean, and with a twentieth dirty."""
    result = BenchmarkResult(
        "generation", f"{VISITS:,} generated visits over a script that fakes row by row, seconds per million visits"
    )
    naive = [_time(lambda: fake_visits(NAIVE_ROWS)) * _MILLION / NAIVE_ROWS for _ in range(RUNS)]
    for name, dirt in (("clean", 0.0), ("dirty", DIRT)):
        large, small = ([_measure_apart(visits, dirt) for _ in range(RUNS)] for visits in (VISITS, FEWER_VISITS))
        seconds = statistics.median(taken["seconds"] for taken in large) * _MILLION / VISITS
        result.ratios[name] = round(seconds / statistics.median(naive), 6)
        result.seconds |= {f"{name}_ours": round(seconds, 4), f"{name}_baseline": round(statistics.median(naive), 3)}
        peak, peak_of_fewer = (statistics.median(taken["peak_mb"] for taken in runs) for runs in (large, small))
        result.figures |= {
            f"{name}_visits_per_second": round(VISITS / statistics.median(taken["visits_seconds"] for taken in large)),
            f"{name}_times_the_naive_script": round(statistics.median(naive) / seconds),
            f"{name}_peak_mb": round(peak),
            f"{name}_peak_over_that_of_a_tenth_of_the_visits": round(peak / peak_of_fewer, 3),
        }
    result.figures["naive_visits_per_second"] = round(_MILLION / statistics.median(naive))
    return result


def fake_visits(count: int) -> list[dict[str, str | None]]:
    """What one writes first: each row's fields asked of Faker, one after the other."""
    faker = Faker("en_US")
    faker.seed_instance(42)
    people = [str(5_200_000_000 + number * 3) for number in range(ACCOUNTS * 5 // 2)]
    pages, channels = (*HIGH_INTENT_PAGES, *OTHER_PAGES), [traits[1:] for traits in CHANNELS.values()]
    rows: list[dict[str, str | None]] = []
    for number in range(1, count + 1):
        path, title = faker.random_element(pages)
        referrer, source, medium, campaigns = faker.random_element(channels)
        occurred_at = faker.date_time_between("-365d", "now")
        rows.append(
            {
                "id": f"pv-{number:09d}",
                "contact_id": faker.random_element(people) if faker.boolean(80) else None,
                "visitor_id": faker.hexify("v^^^^^^^^^^^^"),
                "occurred_at": f"{occurred_at.isoformat(timespec='milliseconds')}Z",
                "page_url": f"{SITE}{path}",
                "page_title": title,
                "referrer": referrer,
                "utm_source": source,
                "utm_medium": medium,
                "utm_campaign": faker.random_element(campaigns) if campaigns else None,
            }
        )
    return rows


def generate(visits: int, dirt: float) -> dict[str, float]:
    """Seconds for all tables, seconds of those for the visits, and the peak memory of this process."""
    options = MockOptions(accounts=ACCOUNTS, visits=visits, dirt=dirt)
    began = last = time.perf_counter()
    spent: dict[str, float] = {}
    for table, _ in generate_tables(options, date(2026, 1, 1)):
        now = time.perf_counter()
        spent[table] = spent.get(table, 0.0) + now - last
        last = now
    return {"seconds": last - began, "visits_seconds": spent["hubspot_web_visits"], "peak_mb": _peak_mb()}


def _measure_apart(visits: int, dirt: float) -> dict[str, Any]:
    """In a process of its own, so that its peak is its own."""
    command = [sys.executable, "-m", "benchmarks.bench_generation", str(visits), str(dirt)]
    measured: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return measured


def _peak_mb() -> float:
    """Linux's own mark, where there is one: `ru_maxrss` also counts what the parent held when it forked."""
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1024
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    return kilobytes / 1024


def _time(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.stdout.write(json.dumps(generate(int(sys.argv[1]), float(sys.argv[2]))) + "\n")
