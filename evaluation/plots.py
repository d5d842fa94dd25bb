"""Figures of results, as PNG."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # before pyplot: there is no screen

import matplotlib.pyplot as plt  # noqa: E402


def plot_reliability(panels: Mapping[str, Mapping[str, Sequence[Mapping[str, float]]]], path: Path) -> Path:
    """One panel per outcome, one line per ranking: what it promised against what came. On the diagonal it is honest."""
    figure, axes = plt.subplots(1, len(panels), figsize=(5.2 * len(panels), 5), squeeze=False)
    for axis, (title, rankings) in zip(axes[0], panels.items(), strict=True):
        _draw(axis, title, rankings)
    figure.tight_layout()
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return path


def _draw(axis: Any, title: str, rankings: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
    most = 0.01
    for name, rows in rankings.items():
        promised, observed = ([row[side] for row in rows] for side in ("promised", "observed"))
        axis.plot(promised, observed, marker="o", markersize=4, linewidth=1, label=name)
        most = max([most, *promised, *observed])
    most *= 1.03
    axis.plot([0, most], [0, most], color="grey", linestyle=":", linewidth=1, label="honest")
    axis.set(title=title, xlabel="promised probability", ylabel="share that came true", xlim=(0, most), ylim=(0, most))
    axis.legend(fontsize=8)
