"""benchmarks/results/chaos.json, and the same as a table for people."""

import json
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.chaos.campaign import Outcome
from tests.conftest import REPOSITORY

PATH = REPOSITORY / "benchmarks" / "results" / "chaos.json"


def build_report(outcomes: Sequence[Outcome], seed: int) -> dict[str, Any]:
    """Integers `kills`, `lost`, `doubled`, `violations`, `jobs`; recoveries in seconds by fault."""
    verdicts = [outcome.verdict for outcome in outcomes]
    posts = sorted(seconds for outcome in outcomes for seconds in outcome.calls.seconds)
    return {
        "seed": seed,
        "cpus": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 2),
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "kills": sum(outcome.kills for outcome in outcomes),
        "jobs": sum(verdict.accepted for verdict in verdicts),
        "lost": sum(len(verdict.lost) for verdict in verdicts),
        "doubled": sum(len(verdict.doubled) for verdict in verdicts),
        "violations": sum(len(verdict.violations) for verdict in verdicts),
        "repeated_without_effect": sum(verdict.repeated for verdict in verdicts),
        "post_seconds": {"p50": _quantile(posts, 0.5), "p99": _quantile(posts, 0.99), "max": _quantile(posts, 1)},
        "recovery": _recoveries(outcomes),
        "campaigns": [_campaign(outcome) for outcome in outcomes],
    }


def write_report(outcomes: Sequence[Outcome], seed: int, path: Path = PATH) -> dict[str, Any]:
    """The report, which is in the file too."""
    report = build_report(outcomes, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")
    return report


def to_table(report: dict[str, Any]) -> str:
    """Markdown."""
    lines = ["| fault | times | bound s | median s | longest s |", "|---|---|---|---|---|"]
    for name, one in report["recovery"].items():
        lines.append(f"| {name} | {one['times']} | {one['bound']:g} | {one['median']} | {one['longest']} |")
    sums = ", ".join(f"{key} {report[key]}" for key in ("kills", "jobs", "lost", "doubled", "violations"))
    return "\n".join([*lines, "", f"{sums}; slowest POST {report['post_seconds']['max']} s; seed {report['seed']}"])


def _recoveries(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    every = [one for outcome in outcomes for one in outcome.recoveries]
    for name in dict.fromkeys(one.fault for one in every):
        ours = [one for one in every if one.fault == name]
        times = [one.seconds for one in ours if one.seconds is not None]
        found[name] = {
            "times": len(ours),
            "never": len(ours) - len(times),
            "late": sum(one.seconds is None or one.seconds > one.bound for one in ours),
            "bound": ours[0].bound,
            "median": round(statistics.median(times), 2) if times else None,
            "longest": round(max(times), 2) if times else None,
        }
    return found


def _campaign(outcome: Outcome) -> dict[str, Any]:
    return {
        "name": outcome.name,
        "is_good": outcome.is_good,
        "seconds": round(outcome.seconds, 1),
        "kills": outcome.kills,
        "ended": dict(outcome.verdict.ended),
        "answers": outcome.calls.statuses,
        "problem": outcome.verdict.explain(),
        "notes": list(dict.fromkeys(outcome.notes)),
    }


def _quantile(values: Sequence[float], share: float) -> float | None:
    return round(values[min(len(values) - 1, int(share * len(values)))], 3) if values else None
