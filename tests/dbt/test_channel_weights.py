"""The elimination in SQL against the textbook's matrix: absorption by (I - Q)^-1 R, one channel removed at a time."""

import random
from decimal import Decimal
from pathlib import Path

import duckdb
import numpy as np

from tests.dbt.compiled_sql import new_warehouse
from tests.transform.builds import BuiltTwice

COUNTED = "analytics_staging.int_touches_counted"
CHANNELS = (
    "paid_search",
    "paid_social",
    "organic_search",
    "organic_social",
    "email",
    "display",
    "event",
    "partner",
) + (
    "referral",
    "direct",
    "other",
)
Paths = list[tuple[list[str], bool]]


def _conversion_rate(paths: Paths, removed: str | None) -> float:
    """Steps from a state to itself are kept here: the SQL leaves them out and must come to the same."""
    states = ["start", *CHANNELS]
    counts = np.zeros((len(states), len(states) + 2))
    for path, is_won in paths:
        steps = ["start", *path, "won" if is_won else "lost"]
        for origin, target in zip(steps, steps[1:], strict=False):
            column = {"won": len(states), "lost": len(states) + 1}.get(target)
            counts[states.index(origin), states.index(target) if column is None else column] += 1
    if removed is not None:
        counts[:, -1] += counts[:, states.index(removed)]
        counts[:, states.index(removed)] = 0
    visited = counts.sum(axis=1) > 0
    shares = counts[visited] / counts[visited].sum(axis=1, keepdims=True)
    between = shares[:, : len(states)][:, visited]
    return float(np.linalg.solve(np.eye(int(visited.sum())) - between, shares[:, len(states)])[0])


def _effects(paths: Paths) -> dict[str, float]:
    everything = _conversion_rate(paths, None)
    return {channel: 1 - _conversion_rate(paths, channel) / everything for channel in CHANNELS}


def _random_paths(seed: int, count: int) -> Paths:
    dice = random.Random(seed)
    return [
        ([dice.choice(CHANNELS[: 2 + seed % 10]) for _ in range(dice.randint(1, 9))], dice.random() < 0.4)
        for _ in range(count)
    ]


def _insert(connection: duckdb.DuckDBPyConnection, paths: Paths, month: str) -> None:
    rows = [
        (f"{month}-{number}", is_won, month, path[i], i + 1, len(path), path[i - 1] if i else None)
        for number, (path, is_won) in enumerate(paths)
        for i in range(len(path))
    ]
    connection.executemany(
        f"insert into {COUNTED} (opportunity_id, is_won, close_month, channel, touch_number, touches, channel_before)"
        " values (?, ?, ?, ?, ?, ?, ?)",
        rows,
    )


def test_removal_effects_are_those_of_the_matrix(built: BuiltTwice, tmp_path: Path) -> None:
    target = built.house.settings.dbt_dir / "runs" / "first" / "target" / "compiled" / "fleet_gtm" / "models"
    sql = (target / "intermediate" / "revenue" / "int_channel_weights.sql").read_text()
    months = {f"2026-{month:02}-01": _random_paths(month, 40) for month in range(1, 9)}
    with new_warehouse(built, tmp_path, [COUNTED]) as connection:
        for month, paths in months.items():
            _insert(connection, paths, month)
        rows = connection.execute(
            f"select cast(close_month as varchar), channel, removal_effect, channel_weight from ({sql})"
        ).fetchall()
    assert len(rows) == len(months) * len(CHANNELS)
    for month in months:
        effects = _effects([path for earlier, paths in months.items() if earlier <= month for path in paths])
        of_month = {channel: (effect, weight) for close, channel, effect, weight in rows if close == month}
        assert sum(weight for _, weight in of_month.values()) == Decimal(1)
        total = sum(float(effect) for effect, _ in of_month.values())
        for channel in CHANNELS:
            effect, weight = of_month[channel]
            assert abs(float(effect) - effects[channel]) < 0.0005 + 1e-9, (month, channel)
            assert effect == round(effect, 3)
            assert abs(float(weight) - float(effect) / total) < 1e-11, (month, channel)
