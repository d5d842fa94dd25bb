"""Landing of visits: what a worker does with a source's rows over the bare engine's work on the same rows.

`GTM_BENCH_VISITS` sets how many (10,000,000), `GTM_BENCH_DLT_PYTHON` a Python that has dlt[duckdb]: without it, and
without dlt beside us, that comparison is left out, which is said.
"""

import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.landing_visits import make_change, make_visits
from benchmarks.result import RUNS, BenchmarkResult

VISITS = int(os.environ.get("GTM_BENCH_VISITS", "10000000"))
_DLT_RUN = Path(__file__).parent / "dlt_run.py"


def run() -> BenchmarkResult:
    """Each run in a process of its own, ours and the bare engine's in turn.

    `first_load` is from Parquet on disk into an empty warehouse; `change` what 1 % costs of it.
    """
    result = BenchmarkResult("landing", f"landing of {VISITS:,} visits over Parquet -> staging -> MERGE in bare SQL")
    folder = Path(tempfile.mkdtemp(prefix="gtm-bench-", dir=os.environ.get("GTM_BENCH_FOLDER")))
    try:
        visits, change, fewer = (folder / f"{name}.parquet" for name in ("visits", "change", "fewer"))
        make_visits(visits, VISITS)
        make_change(change, VISITS)
        make_visits(fewer, VISITS // 10)
        _compare(result, folder, visits, change)
        _measure_memory(result, folder, visits, fewer)
        _measure_repeat(result, folder, visits)
        _compare_with_dlt(result, folder, visits)
    finally:
        shutil.rmtree(folder)
    return result


def _compare(result: BenchmarkResult, folder: Path, visits: Path, change: Path) -> None:
    times: dict[str, list[float]] = {"bare": [], "ours": [], "whole": [], "change": [], "whole_change": []}
    for _ in range(RUNS):
        times["bare"].append(_run("bare", visits, _empty(folder / "bare"))["seconds"])
        first = _run("ours", visits, _empty(folder / "ours"))
        times["ours"].append(first["seconds"])
        times["whole"].append(first["seconds"] + first["spooling_seconds"])
        changed = _run("ours", change, folder / "ours")
        assert (changed["inserted"], changed["updated"]) == (VISITS // 200, VISITS // 200), changed
        times["change"].append(changed["seconds"])
        times["whole_change"].append(changed["seconds"] + changed["spooling_seconds"])
    seconds = {name: statistics.median(values) for name, values in times.items()}
    _add(result, "first_load", seconds["ours"], seconds["bare"])
    _add(result, "first_load_with_spooling", seconds["whole"], seconds["bare"])
    _add(result, "change_of_1_percent_over_first_load", seconds["change"], seconds["ours"])
    _add(result, "change_of_1_percent_with_spooling", seconds["whole_change"], seconds["whole"])
    result.figures["rows_per_second"] = round(VISITS / seconds["ours"])


def _measure_memory(result: BenchmarkResult, folder: Path, visits: Path, fewer: Path) -> None:
    """Of the whole process: interpreter, source's batches, spool and engine."""
    peaks = [_run("ours", parquet, _empty(folder / "peak"))["peak_mb"] for parquet in (visits, fewer)]
    result.figures |= {
        "peak_mb": round(peaks[0]),
        "peak_mb_of_a_tenth": round(peaks[1]),
        "peak_over_that_of_a_tenth": round(peaks[0] / peaks[1], 3),
    }


def _measure_repeat(result: BenchmarkResult, folder: Path, visits: Path) -> None:
    repeat = _empty(folder / "repeat")
    _run("ours", visits, repeat)
    again = _run("ours", visits, repeat)
    held = _run("keys", visits, repeat)
    assert held["rows"] == held["keys"] == VISITS, held
    result.figures |= {
        "rows_written_by_an_unchanged_repeat": round(again["inserted"] + again["updated"]),
        "seconds_of_an_unchanged_repeat": round(again["seconds"], 3),
    }


def _compare_with_dlt(result: BenchmarkResult, folder: Path, visits: Path) -> None:
    """dlt's Arrow path, merge by the same key: from Parquet to the end of its load, as ours with the spooling."""
    python = os.environ.get("GTM_BENCH_DLT_PYTHON") or (sys.executable if importlib.util.find_spec("dlt") else "")
    if not python:
        print("  dlt is not here: name a Python that has dlt[duckdb] in GTM_BENCH_DLT_PYTHON for the comparison")
        return
    target = _empty(folder / "dlt")
    taken = _last_line([python, str(_DLT_RUN), str(visits), str(target)], Path.cwd())
    ours = result.seconds["first_load_with_spooling_ours"]
    _add(result, "first_load_with_spooling_over_dlt", ours, taken["seconds"])
    result.figures["dlt_peak_mb"] = round(taken["peak_mb"])


def _add(result: BenchmarkResult, name: str, ours: float, baseline: float) -> None:
    result.ratios[name] = round(ours / baseline, 3)
    result.seconds |= {f"{name}_ours": round(ours, 3), f"{name}_baseline": round(baseline, 3)}


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _run(what: str, parquet: Path, folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.landing_run", what, str(parquet), str(folder)]
    return _last_line(command, Path(__file__).parent.parent)


def _last_line(command: list[str], folder: Path) -> dict[str, float]:
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures
