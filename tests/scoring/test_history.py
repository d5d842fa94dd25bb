"""Why a lead is another one: the factors that moved, whose points add up, and whatever else decided otherwise."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scoring.domain.history import (
    add_history,
    to_change_reasons,
    to_changes,
    to_history_row,
    to_shown_change,
)


def lead(points: dict[str, float], *, llm: int = 0, **changes: Any) -> dict[str, Any]:
    """A row of `lead_scores` whose baseline is made of these factors; `llm` is the model's adjustment."""
    factors = [
        {"factor": name, "component": "fit", "points": value, "max_points": 20.0, "value": f"{name}={value}"}
        | {"explanation": f"{name} is {value}"}
        for name, value in points.items()
    ]
    baseline = max(0, min(100, round(sum(points.values()))))
    row = {
        "account_id": "a",
        "account_name": "Falkor",
        "job_id": "job-1",
        "lead_score": baseline + llm,
        "baseline_score": baseline,
        "llm_score": baseline + llm,
        "tier": "B",
        "next_action": "email",
        "pitch": "Hello",
        "score_source": "llm",
        "pitch_source": "llm",
        "is_active": True,
        "inactive_reason": None,
        "factors": json.dumps(factors),
        "prompt_version": "p1",
        "model_digest": "m1",
        "rules_version": "r1",
        "weights_version": "w1",
        "score_bound": 10,
        "input_key": "k1",
        "dbt_run_id": "b1",
        "scored_at": "now",
    }
    return {**row, **changes}


def kinds(before: dict[str, Any] | None, after: dict[str, Any]) -> list[str]:
    return [reason["kind"] for reason in to_change_reasons(before, after)]


def test_the_factors_that_moved_are_told_with_their_points_strongest_first() -> None:
    before = lead({"visits": 2, "fleet_size": 13, "region": 4})
    after = lead({"visits": 8, "fleet_size": 10, "region": 4})
    first, second = to_change_reasons(before, after)
    assert first == {
        "kind": "factor",
        "factor": "visits",
        "component": "fit",
        "points": 6,
        "before": "visits=2",
        "after": "visits=8",
        "explanation": "visits is 8 (+6)",
    }
    assert (second["factor"], second["points"]) == ("fleet_size", -3)


def test_a_factor_that_came_or_went_counts_with_all_its_points() -> None:
    first, second = to_change_reasons(lead({"visits": 5}), lead({"recency": 9}))
    assert (first["factor"], first["points"], first["before"], first["after"]) == ("recency", 9, None, "recency=9")
    assert (second["factor"], second["points"], second["after"]) == ("visits", -5, None)


@given(
    st.dictionaries(st.sampled_from("abcde"), st.integers(-2000, 3000).map(lambda number: number / 100)),
    st.dictionaries(st.sampled_from("abcde"), st.integers(-2000, 3000).map(lambda number: number / 100)),
    st.integers(-10, 10),
    st.integers(-10, 10),
)
def test_points_add_up_to_the_change_of_the_score(
    old: dict[str, float], new: dict[str, float], llm_before: int, llm_after: int
) -> None:
    """Also where fit or engagement were clamped, or rounded."""
    before, after = lead(old, llm=llm_before), lead(new, llm=llm_after)
    points = sum(reason.get("points", 0) for reason in to_change_reasons(before, after))
    if old and new:
        assert points == pytest.approx(after["lead_score"] - before["lead_score"], abs=0.005)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"prompt_version": "p2"}, "prompt"),
        ({"model_digest": "m2"}, "model"),
        ({"rules_version": "r2"}, "rules"),
        ({"weights_version": "w2"}, "weights"),
        ({"score_bound": 5}, "bound"),
        ({"account_name": "Falkor AG"}, "name"),
        ({"tier": "A"}, "tier"),
        ({"is_active": False, "inactive_reason": "customer"}, "activity"),
        ({"pitch": "Good day"}, "answer"),
    ],
)
def test_what_else_decided_is_named(changes: dict[str, Any], kind: str) -> None:
    before = lead({"visits": 5})
    assert kinds(before, {**before, **changes}) == [kind]


def test_a_tier_that_follows_from_the_score_is_no_reason_of_its_own() -> None:
    assert kinds(lead({"visits": 5}), lead({"visits": 9}, tier="A")) == ["factor"]


def test_the_models_part_is_told_apart_also_where_its_answer_was_unreadable() -> None:
    before, after = lead({"visits": 5}, llm=7), lead({"visits": 5}, llm=-2)
    (reason,) = to_change_reasons(before, after)
    assert (reason["kind"], reason["points"], reason["before"], reason["after"]) == ("llm", -9, 7, -2)
    (reason,) = to_change_reasons(before, lead({"visits": 5}, llm_score=None))
    assert reason["points"] == -7 and "no readable answer" in reason["explanation"]


def test_a_row_of_an_earlier_release_lacks_factors_and_versions() -> None:
    before = lead({"visits": 5}, factors=None, weights_version=None, score_bound=None)
    (reason,) = to_change_reasons(before, lead({"visits": 9}))
    assert (reason["kind"], reason["points"]) == ("baseline", 4)
    assert to_change_reasons(before, lead({"visits": 5})) == [], "unknown is not changed"


def test_the_first_score_has_no_before() -> None:
    row = to_history_row(None, lead({"visits": 5}))
    assert (row["previous_lead_score"], row["changed"]) == (None, "{}")
    assert [one["kind"] for one in json.loads(row["reasons"])] == ["first"]
    assert to_shown_change(None, lead({"visits": 5}))["is_new"] is True  # type: ignore[index]


def test_a_dry_run_shows_the_same_reasons_and_nothing_where_nothing_would_change() -> None:
    before, after = lead({"visits": 5}), lead({"visits": 9})
    shown = to_shown_change(before, after)
    assert shown is not None and shown["changed"] == {"lead_score": [5, 9], "baseline_score": [5, 9]}
    assert shown["reasons"] == json.loads(to_history_row(before, after)["reasons"])
    assert to_shown_change(before, {**before, "model_digest": "m2", "job_id": "other"}) is None


def test_two_changes_by_one_job_are_one_row_that_tells_both() -> None:
    before, scored = lead({"visits": 5}), lead({"visits": 9}, job_id="job-2")
    marked = {**scored, "is_active": False, "inactive_reason": "gone"}
    first = to_history_row(before, scored)
    row = add_history(first, to_history_row(scored, marked))
    assert json.loads(row["changed"]) == {**to_changes(before, scored), "is_active": [True, False]}
    assert [one["kind"] for one in json.loads(row["reasons"])] == ["factor", "activity"]
    assert (row["previous_lead_score"], row["lead_score"]) == (5, 9)
    assert add_history(None, first) == first
