"""benchmarks/results/chaos.json: the last run of each campaign, and the same as a table for people."""

import json
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests.chaos.arena import Recovery
from tests.chaos.campaign import Outcome
from tests.conftest import REPOSITORY

PATH: Final = REPOSITORY / "benchmarks" / "results" / "chaos.json"
_SUMMED: Final = ("kills", "jobs", "lost", "doubled", "violations", "repeated_without_effect")


def note(outcome: Outcome, seed: int, path: Path = PATH) -> dict[str, Any]:
    """Put the campaign into the report, in its last run's place; the whole report, whose sums are of all campaigns."""
    known = json.loads(path.read_text())["campaigns"] if path.exists() else {}
    campaigns = {**known, outcome.name: _to_campaign(outcome, seed)}
    sums = {name: sum(one[name] for one in campaigns.values()) for name in _SUMMED}
    report = {**sums, "is_good": all(one["is_good"] for one in campaigns.values()), "campaigns": campaigns}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")
    return report


def to_table(report: dict[str, Any]) -> str:
    """Markdown: what there was, and how soon all was well again."""
    lines = ["| campaign | kills | jobs | lost | doubled | violations | slowest POST, s |", "|---|" + "---|" * 6]
    for name, one in report["campaigns"].items():
        numbers = " | ".join(str(one[key]) for key in _SUMMED[:5])
        lines.append(f"| {name} | {numbers} | {one['post_seconds']['max']} |")
    lines += [
        "",
        "| fault | campaign | times | jobs hit | bound, s | median, s | longest, s |",
        "|---|---|" + "---|" * 5,
    ]
    for name, one in report["campaigns"].items():
        for fault, times in one["recovery"].items():
            numbers = " | ".join(str(times.get(key)) for key in ("times", "held", "bound", "median", "longest"))
            lines.append(f"| {fault} | {name} | {numbers} |")
    return "\n".join(lines)


def _to_campaign(outcome: Outcome, seed: int) -> dict[str, Any]:
    verdict, posts = outcome.verdict, sorted(outcome.calls.seconds)
    faults = dict.fromkeys(one.fault for one in outcome.recoveries)
    return {
        "is_good": outcome.is_good,
        "seed": seed,
        "cpus": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 2),
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(outcome.seconds, 1),
        "kills": outcome.kills,
        "jobs": verdict.accepted,
        "lost": len(verdict.lost),
        "doubled": len(verdict.doubled),
        "violations": len(verdict.violations),
        "repeated_without_effect": verdict.repeated,
        "taken_up_again": verdict.taken_up_again,
        "ended": dict(verdict.ended),
        "answers": outcome.calls.statuses,
        "post_seconds": {"p50": _quantile(posts, 0.5), "p99": _quantile(posts, 0.99), "max": _quantile(posts, 1)},
        "recovery": {name: _to_times([one for one in outcome.recoveries if one.fault == name]) for name in faults},
        "problem": verdict.explain(),
        "notes": list(dict.fromkeys(outcome.notes)),
    }


def _to_times(recoveries: Sequence[Recovery]) -> dict[str, Any]:
    """Of those that hit something; `empty` counts the others, `held` the jobs hit (None: no matter of jobs)."""
    hits = [one for one in recoveries if not one.is_empty]
    times = [one.seconds for one in hits if one.seconds is not None]
    held = [one.held for one in recoveries if one.held is not None]
    return {
        "times": len(recoveries),
        "empty": len(recoveries) - len(hits),
        "held": sum(held) if held else None,
        "never": len(hits) - len(times),
        "late": sum(one.is_late for one in recoveries),
        "bound": recoveries[0].bound,
        "median": round(statistics.median(times), 2) if times else None,
        "longest": round(max(times), 2) if times else None,
    }


def _quantile(values: Sequence[float], share: float) -> float | None:
    return round(values[min(len(values) - 1, int(share * len(values)))], 3) if values else None
