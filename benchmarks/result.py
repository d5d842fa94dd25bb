"""How a benchmark measures and what it writes."""

import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

RUNS = 5
RESULTS = Path(__file__).parent / "results"


@dataclass
class BenchmarkResult:
    """`ratios`: name -> median of our times over the median of the baseline's. `seconds`: both medians."""

    name: str
    what: str
    ratios: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    """What is no ratio: bytes, rows."""
    runs: int = RUNS
    machine: str = f"{platform.machine()}, Python {platform.python_version()}"
    at: str = ""

    def write(self) -> Path:
        """`benchmarks/results/<name>.json`."""
        RESULTS.mkdir(exist_ok=True)
        self.at = datetime.now(UTC).isoformat(timespec="seconds")
        path = RESULTS / f"{self.name}.json"
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")
        return path


def compare(result: BenchmarkResult, name: str, ours: Callable[[], object], baseline: Callable[[], object]) -> None:
    """Run both in turn, so that neither has the quieter half of the minute."""
    times: dict[str, list[float]] = {"ours": [], "baseline": []}
    for _ in range(RUNS):
        for side, run in (("baseline", baseline), ("ours", ours)):
            started = time.perf_counter()
            run()
            times[side].append(time.perf_counter() - started)
    medians = {side: statistics.median(values) for side, values in times.items()}
    result.ratios[name] = round(medians["ours"] / medians["baseline"], 3)
    result.seconds |= {f"{name}_{side}": round(value, 3) for side, value in medians.items()}
