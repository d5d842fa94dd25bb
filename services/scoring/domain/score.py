"""From the computed baseline and the model's answer to the score, tier and reasons that a rep sees."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from services.scoring.domain.profile import Factor

MAX_REASONS = 5


def final_score(baseline: int, llm_score: int | None, bound: int) -> int:
    """The model moves the baseline by at most `bound` points either way; without an answer it is the baseline."""
    adjustment = 0 if llm_score is None else max(-bound, min(bound, llm_score - baseline))
    return max(0, min(100, baseline + adjustment))


def to_tier(score: int, thresholds: Mapping[str, int]) -> str:
    """A, B or C for a score at or above its threshold, else D."""
    for tier, least in sorted(thresholds.items(), key=lambda item: -item[1]):
        if score >= least:
            return tier
    return "D"


def top_reasons(factors: Sequence[Factor], baseline: int, score: int, limit: int = MAX_REASONS) -> list[dict[str, Any]]:
    """The factors that moved the score most, with signed points; last the model's adjustment where it made one."""
    ranked = sorted((item for item in factors if item.points), key=lambda item: (-abs(item.points), item.factor))
    reasons = [_to_json(item) for item in ranked[:limit]]
    if score != baseline:
        reasons.append(
            {
                "factor": "llm_adjustment",
                "component": "llm",
                "points": float(score - baseline),
                "max_points": None,
                "value": None,
                "explanation": f"The model's judgement moved the score by {score - baseline:+d}.",
            }
        )
    return reasons


def all_factors(factors: Sequence[Factor]) -> list[dict[str, Any]]:
    """Every factor of the baseline, fit before engagement, most points first: what the score was made of."""
    ranked = sorted(factors, key=lambda item: (item.component != "fit", -abs(item.points), item.factor))
    return [_to_json(item) for item in ranked]


def _to_json(item: Factor) -> dict[str, Any]:
    return {
        "factor": item.factor,
        "component": item.component,
        "points": float(item.points),
        "max_points": float(item.max_points),
        "value": item.value,
        "explanation": item.explanation,
    }


def input_key(profile_hash: str, prompt_version: str, model_digest: str, rules_version: str, bound: int) -> str:
    """Everything that decides an answer. Equal key: the question has been asked, and is not asked again."""
    parts = (profile_hash, prompt_version, model_digest, rules_version, str(bound))
    return hashlib.sha256("|".join(parts).encode()).hexdigest()


def to_rules_version(rules: Mapping[str, Any]) -> str:
    """Short hash of the answer schema, model options and pitch policy that a row was made under."""
    return hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()[:12]


def to_seed(profile_hash: str, attempt: int) -> int:
    """A seed below 2**31: the same for the same question, another one for each attempt (counted from 1)."""
    return (int(hashlib.sha256(profile_hash.encode()).hexdigest()[:7], 16) + attempt - 1) % 2**31
