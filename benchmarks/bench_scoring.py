"""A scoring beside a bare load generator that asks the same model server the same questions in the same run.

The fake server answers after 300 ms, as many questions at once as it is told; the small model is the one of the local
stack. BENCH_SCORING_ACCOUNTS (500), BENCH_SCORING_MANY (100,000) and BENCH_SCORING_MODEL (40, 0 leaves the small
model out) make it smaller. BENCH_SCORING_PYTHON is the interpreter of both sides: one that has requirements/scoring.txt
and no more shows what the image's worker takes, since numpy and rich, where they are installed, are imported by others.
"""

import os
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.result import BenchmarkResult
from benchmarks.scoring_house import FakeServer, ScoringHouse, SmallModel

ACCOUNTS = int(os.environ.get("BENCH_SCORING_ACCOUNTS", "500"))
MANY = int(os.environ.get("BENCH_SCORING_MANY", "100000"))
MODEL = int(os.environ.get("BENCH_SCORING_MODEL", "40"))
LATENCY_MS = 300
RUNS = {1: 1, 4: 3, 16: 5}  # slots of the server -> runs of both sides; one of 500 questions one by one takes 150 s


def run() -> BenchmarkResult:
    """Ratio: seconds from the first question to the last answer, over the bare generator's for the same questions."""
    result = BenchmarkResult("scoring", f"{ACCOUNTS} accounts at {LATENCY_MS} ms an answer", runs=max(RUNS.values()))
    for slots, runs in RUNS.items():
        _compare(result, f"slots_{slots}", slots, runs, ACCOUNTS)
    if MODEL:
        _compare(result, "small_model", 1, 1, MODEL)
    _measure_many(result)
    return result


def _compare(result: BenchmarkResult, name: str, slots: int, runs: int, accounts: int) -> None:
    """Both in turn, so that neither has the quieter half; medians."""
    ours: list[dict[str, Any]] = []
    bare: list[float] = []
    with _folder() as folder, _server(name, slots) as server:
        for number in range(runs):
            house = ScoringHouse(folder / str(number), accounts)
            ours.append(house.score(server.url, server.model, slots, is_recorded=True))
            bare.append(house.ask_bare(slots))
    seconds = statistics.median(one["asking_seconds"] for one in ours)
    result.ratios[name] = round(seconds / statistics.median(bare), 3)
    result.seconds |= {f"{name}_ours": round(seconds, 3), f"{name}_baseline": round(statistics.median(bare), 3)}
    around = statistics.median(one["seconds"] - one["asking_seconds"] for one in ours)
    cpu = statistics.median(one["cpu_seconds"] for one in ours) / accounts * 1000
    result.figures |= {f"{name}_seconds_around_asking": round(around, 2), f"{name}_cpu_ms_per_account": round(cpu, 2)}


def _measure_many(result: BenchmarkResult) -> None:
    """Memory and CPU of a large scoring at the greatest pace, then the skip of all of it."""
    with _folder() as folder, FakeServer(latency_ms=0, num_parallel=16) as server:
        house = ScoringHouse(folder, MANY)
        first = house.score(server.url, server.model, 16)
        asked = server.count_chats()
        again = house.score(server.url, server.model, 16)
        result.figures |= {
            "many_accounts": MANY,
            "many_scored": first["result"]["scored"],
            "many_accounts_per_second": round(MANY / first["seconds"], 1),
            "many_cpu_ms_per_account": round(first["cpu_seconds"] / MANY * 1000, 2),
            "many_peak_mb": round(first["peak_mb"]),
            "skip_seconds": round(again["seconds"], 2),
            "skip_unchanged": again["result"]["unchanged"],
            "skip_questions": server.count_chats() - asked,
            "skip_peak_mb": round(again["peak_mb"]),
        }


def _server(name: str, slots: int) -> FakeServer | SmallModel:
    return SmallModel() if name == "small_model" else FakeServer(latency_ms=LATENCY_MS, num_parallel=slots)


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="gtm-bench-", dir=os.environ.get("BENCH_FOLDER")))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
