"""What changed on a lead, and why: which factor moved and by how many points, or what else decided otherwise.

JSON columns are text. Points are signed; those of one change add up to the change of the lead score.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
Reason = dict[str, Any]

_MATERIAL = (
    "lead_score",
    "baseline_score",
    "tier",
    "next_action",
    "pitch",
    "score_source",
    "pitch_source",
    "account_name",
    "is_active",
)
_OF_TIER = ("tier", "next_action")
# kind of a reason -> the column that tells it. Rows of an earlier release lack some of them: unknown, not changed.
_VERSIONS = {
    "prompt": "prompt_version",
    "model": "model_digest",
    "rules": "rules_version",
    "weights": "weights_version",
    "bound": "score_bound",
}
_VERSION_WORDS = {
    "prompt": "The prompt is another one.",
    "model": "The model is another one.",
    "rules": "Answer schema, model options or pitch policy are others.",
    "weights": "The weights of the baseline score are others.",
    "bound": "The model may move the baseline by another number of points.",
}


def to_changes(before: Row | None, after: Row) -> dict[str, list[Any]]:
    """Column -> [before, after] of what a rep would notice; empty where there was no row before."""
    if before is None:
        return {}
    return {name: [before[name], after[name]] for name in _MATERIAL if before[name] != after[name]}


def to_change_reasons(before: Row | None, after: Row) -> list[Reason]:
    """Why the lead is another one now, strongest factor first; `answer` where the model's words differ, `facts` where
    they are the same and show other facts."""
    if before is None:
        return [{"kind": "first", "points": after["lead_score"], "explanation": "Scored for the first time."}]
    reasons = [
        *_moved_factors(before, after),
        *_moved_adjustment(before, after),
        *_other_versions(before, after),
        *_other_tier(before, after),
        *_other_account(before, after),
    ]
    if to_changes(before, after) and all(one["kind"] == "factor" and not one["points"] for one in reasons):
        return [*reasons, *_same_points(before, after, has_facts=bool(reasons))]
    return reasons


def to_shown_change(before: Row | None, after: Row) -> dict[str, Any] | None:
    """What a dry run lists about an account; None where nothing would change."""
    changes = to_changes(before, after)
    if before is not None and not changes:
        return None
    shown = {name: after[name] for name in ("account_id", "lead_score", "tier", "pitch_source")}
    return {**shown, "is_new": before is None, "changed": changes, "reasons": to_change_reasons(before, after)}


def to_history_row(before: Row | None, after: Row, reasons: Sequence[Reason] | None = None) -> dict[str, Any]:
    """Every column of `lead_score_history`. `reasons`: those that the rows don't tell."""
    same = ("account_id", "job_id", "lead_score", "baseline_score", "llm_score", "tier", "score_source", "pitch_source")
    why = to_change_reasons(before, after) if reasons is None else list(reasons)
    return {
        **{name: after[name] for name in (*same, "input_key", "dbt_run_id", "scored_at")},
        "previous_lead_score": before["lead_score"] if before else None,
        "changed": _dump(to_changes(before, after)),
        "reasons": _dump(why),
    }


def add_history(stored: Row | None, row: Row) -> dict[str, Any]:
    """The history row of a job that changes a lead once more: one row per job tells both changes. A lead that the job
    made has no tier to move from: where tiers go by capacity, its first was a stand-in."""
    if stored is None:
        return dict(row)
    earlier, later = json.loads(stored["changed"]), json.loads(row["changed"])
    told, added = json.loads(stored["reasons"] or "[]"), json.loads(row["reasons"])
    if any(one["kind"] == "first" for one in told):
        later = {name: values for name, values in later.items() if name not in _OF_TIER}
        added = [one for one in added if one["kind"] != "tier"]
    changed = {name: [earlier.get(name, values)[0], values[1]] for name, values in later.items()}
    reasons = [*told, *added]
    return {
        **row,
        "previous_lead_score": stored["previous_lead_score"],
        "changed": _dump({**earlier, **changed}),
        "reasons": _dump(reasons),
    }


def _moved_factors(before: Row, after: Row) -> list[Reason]:
    """Signed points of each factor that moved, 0 where its value alone did. What clamping and rounding took away is
    told apart."""
    moved = after["baseline_score"] - before["baseline_score"]
    if not before["factors"] or not after["factors"]:  # scored by a release that kept no factors
        words = f"The baseline score moved by {moved:+d}."
        return [{"kind": "baseline", "points": moved, "explanation": words}] if moved else []
    old, new = _by_name(before["factors"]), _by_name(after["factors"])
    reasons = [_moved_factor(name, old.get(name), new.get(name)) for name in sorted({*old, *new})]
    reasons = [one for one in reasons if one["points"] or one["before"] != one["after"]]
    reasons.sort(key=lambda one: -abs(one["points"]))
    left = round(moved - sum(one["points"] for one in reasons), 2)
    if left:
        words = "Fit and engagement are each clamped to 0..50 and rounded."
        reasons.append({"kind": "clamp", "points": left, "explanation": words})
    return reasons


def _by_name(factors: str) -> dict[str, dict[str, Any]]:
    return {item["factor"]: item for item in json.loads(factors)}


def _moved_factor(name: str, old: dict[str, Any] | None, new: dict[str, Any] | None) -> Reason:
    known = new or old or {}
    points = round((new["points"] if new else 0) - (old["points"] if old else 0), 2)
    return {
        "kind": "factor",
        "factor": name,
        "component": known["component"],
        "points": points,
        "before": old["value"] if old else None,
        "after": new["value"] if new else None,
        "explanation": f"{known['explanation']} ({points:+g})",
    }


def _same_points(before: Row, after: Row, *, has_facts: bool) -> list[Reason]:
    """Of a change that moved no points. A row of an earlier release may lack what tells: the model answered."""
    is_same_answer = before["input_key"] == after["input_key"] and before.get("llm_answer") == after.get("llm_answer")
    if not is_same_answer or before.get("facts_hash") == after.get("facts_hash"):
        return [{"kind": "answer", "explanation": "The model was asked again and answered otherwise."}]
    words = "What the pitch says of the account was brought up to date; the model was not asked again."
    return [] if has_facts else [{"kind": "facts", "explanation": words}]


def _moved_adjustment(before: Row, after: Row) -> list[Reason]:
    old, new = (row["lead_score"] - row["baseline_score"] for row in (before, after))
    if old == new:
        return []
    words = f"The model moves the baseline by {new:+d}, before by {old:+d}."
    if after["llm_score"] is None:
        words = "There is no readable answer of the model: the score is the baseline."
    return [{"kind": "llm", "points": new - old, "before": old, "after": new, "explanation": words}]


def _other_versions(before: Row, after: Row) -> list[Reason]:
    """Settings and texts that are others than those of the stored row: they cost no points by themselves."""
    return [
        {"kind": kind, "before": before[column], "after": after[column], "explanation": _VERSION_WORDS[kind]}
        for kind, column in _VERSIONS.items()
        if before[column] is not None and before[column] != after[column]
    ]


def _other_tier(before: Row, after: Row) -> list[Reason]:
    """Of a lead whose score stayed."""
    if before["tier"] == after["tier"] or before["lead_score"] != after["lead_score"]:
        return []
    words = "The tiers' thresholds or capacities, or the leads above this one, are others."
    return [{"kind": "tier", "before": before["tier"], "after": after["tier"], "explanation": words}]


def _other_account(before: Row, after: Row) -> list[Reason]:
    reasons: list[Reason] = []
    if before["account_name"] != after["account_name"]:
        words = "The account has another name."
        names = {"before": before["account_name"], "after": after["account_name"]}
        reasons.append({"kind": "name", **names, "explanation": words})
    if before["is_active"] != after["is_active"]:
        words = _ACTIVITY_WORDS.get(after["inactive_reason"], "The account is no active prospect any more.")
        activity = {"before": before["is_active"], "after": after["is_active"], "reason": after["inactive_reason"]}
        reasons.append({"kind": "activity", **activity, "explanation": words})
    return reasons


_ACTIVITY_WORDS = {
    None: "The account is an active prospect again.",
    "customer": "The account is a customer without an open opportunity now.",
    "gone": "The account is in no mart any more: deleted, or merged into another.",
}


def _dump(content: Any) -> str:
    return json.dumps(content, sort_keys=True)
